// SPDX-License-Identifier: LGPL-2.1-or-later
// bench-content-libvirt: the work on volumes' content through libvirt's API; uri= names the daemon.
#include "content.hpp"
#include "libvirt_api.hpp"

#include <unistd.h>

namespace {

using namespace bench;

struct ReleaseStream {
    void operator()(virStreamPtr stream) const { virStreamFree(stream); }
};
using Stream = std::unique_ptr<virStream, ReleaseStream>;

int give(virStreamPtr, char* data, size_t size, void* fd)
{
    return static_cast<int>(::read(*static_cast<int*>(fd), data, size));
}

int take(virStreamPtr, const char* data, size_t size, void* fd)
{
    return static_cast<int>(::write(*static_cast<int*>(fd), data, size));
}

class Libvirt final : public Contestant {
public:
    explicit Libvirt(const Arguments& arguments)
        : connection_(connect(arguments)),
          pool_(define(connection_, "content", arguments.text("dir")))
    {
        start(pool_);
    }
    ~Libvirt() override
    {
        virStoragePoolDestroy(pool_.get());
        virStoragePoolUndefine(pool_.get());
    }

    bool create(const std::string& name, const std::string& format, std::uint64_t capacity) override
    {
        Volume(required(
            virStorageVolCreateXML(pool_.get(), volume_xml(name, format, capacity).c_str(), 0),
            "create"));
        return true;
    }
    void remove(const std::string& name) override
    {
        check(virStorageVolDelete(find(name).get(), 0), "delete");
    }
    bool clone(const std::string& source, const std::string& name) override
    {
        Volume(required(virStorageVolCreateXMLFrom(pool_.get(), volume_xml(name, "raw", 0).c_str(),
                                                   find(source).get(), 0),
                        "clone"));
        return true;
    }
    /** libvirt has one way to transfer: a stream with callbacks. */
    bool upload_by_callback(const std::string& name, int from) override
    {
        const Stream stream(required(virStreamNew(connection_.get(), 0), "stream"));
        check(virStorageVolUpload(find(name).get(), stream.get(), 0, 0, 0), "upload");
        check(virStreamSendAll(stream.get(), give, &from), "upload");
        check(virStreamFinish(stream.get()), "upload");
        return true;
    }
    bool download_by_callback(const std::string& name, int to) override
    {
        const Stream stream(required(virStreamNew(connection_.get(), 0), "stream"));
        check(virStorageVolDownload(find(name).get(), stream.get(), 0, 0, 0), "download");
        check(virStreamRecvAll(stream.get(), take, &to), "download");
        check(virStreamFinish(stream.get()), "download");
        return true;
    }
    bool wipe(const std::string& name) override
    {
        check(virStorageVolWipe(find(name).get(), 0), "wipe");
        return true;
    }

private:
    Volume find(const std::string& name) const
    {
        return Volume(required(virStorageVolLookupByName(pool_.get(), name.c_str()), name));
    }
    static std::string volume_xml(const std::string& name, const std::string& format,
                                  std::uint64_t capacity)
    {
        return "<volume><name>" + name + "</name><allocation>0</allocation><capacity>" +
               std::to_string(capacity) + "</capacity><target><format type='" + format +
               "'/></target></volume>";
    }

    Connection connection_;
    Pool pool_;
};

int run(const Arguments& arguments)
{
    return run_content(arguments, [](const Arguments& given) -> std::unique_ptr<Contestant> {
        return std::make_unique<Libvirt>(given);
    });
}

} // namespace

int main(int argc, char** argv)
{
    return bench::guarded_main(argc, argv, run);
}
