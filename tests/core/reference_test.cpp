// SPDX-License-Identifier: LGPL-2.1-or-later
// Where images lead: formats that nobody declares, and what is said of a reference that is not
// followed.
#include "content.hpp"

using namespace storage;
using namespace content;

namespace {

/** All that the call's error says; "" where it throws none. */
template <typename Call>
std::string words_of(Call&& call)
{
    try {
        call();
    } catch (const Error& error) {
        return std::string(error.what()) + "; " + error.remedy();
    }
    return {};
}

bool has_word(const std::string& text, const std::string& word)
{
    return text.find(word) != text.npos;
}

class Images {
public:
    /** Made by qemu-img, that asks nobody. */
    Volume make(const std::string& name, const std::string& options)
    {
        REQUIRE(std::system(("cd '" + (scratch.directory / "pool") + "' && qemu-img create -q -u " +
                             options + ' ' + name + " 1M")
                                .c_str()) == 0);
        return pool.find_volume(name);
    }
    Volume copy(const Volume& source, const std::string& format = "raw")
    {
        return pool.create_volume_from(volume_def("copy", format, 0), source);
    }

    Scratch scratch{};
    Context context{scratch.options()};
    Pool pool = scratch.running_pool(context);
};

} // namespace

TEST_CASE("what is said of a reference that is not followed is of that reference", "[content]")
{
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    Images images;
    auto& directory = images.scratch.directory;
    directory.write("stranger", pattern(mib));
    const auto said_of = [&](const std::string& reference, const std::string& format = "raw") {
        auto top = images.make("top", "-f qcow2 -b '" + reference + "' -F " + format);
        const auto words = words_of([&] { images.copy(top); });
        CHECK(words_of([&] { top.flatten(); }).empty() == words.empty());
        CHECK_FALSE(directory.exists("pool/copy"));
        top.delete_storage();
        return words;
    };
    CHECK(has_word(said_of(directory / "stranger"), "define a pool where it lies"));
    for (const auto* reference : {"nbd://host/export", "rbd:pool/image", "http://host/a", "file:a",
                                  "json:{\"driver\":\"nbd\",\"host\":\"h\"}"}) {
        INFO(reference);
        const auto words = said_of(reference);
        CHECK(has_word(words, "not certainly a file of this host"));
        CHECK_FALSE(has_word(words, "define a pool"));
    }
    CHECK(has_word(said_of("gone"), "where nothing is"));
    directory.write("pool/text", pattern(mib));
    CHECK(has_word(said_of("text", "qcow2"), "cannot be read as an image of format 'qcow2'"));
    images.make("circle", "-f qcow2 -b top -F qcow2");
    const auto round = images.make("top", "-f qcow2 -b circle -F qcow2");
    CHECK(has_word(words_of([&] { images.copy(round); }), "which is based on it"));
}
