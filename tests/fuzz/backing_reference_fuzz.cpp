// SPDX-License-Identifier: LGPL-2.1-or-later
// A reference from a header: whatever it says, it means an absolute path of bounded length without
// control characters, or nothing; normalising that changes nothing the second time.
#include "fuzz.hpp"

#include "backing_chain.hpp"
#include "names.hpp"

using namespace storage;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = text_of(data, size);
    const std::string directory = "/pool/images/";
    for (const auto& reference : {std::string(text), "json:" + std::string(text)}) {
        const auto target = resolve_reference(reference, directory);
        if (!target.is_local())
            continue;
        require(target.path.starts_with('/'), "a path is not absolute", target.path);
        require(!control_character(target.path), "a path has control characters", target.path);
        require(target.path.size() <= directory.size() + reference.size(), "a path has grown",
                target.path);
        const auto plain = normalised_path(target.path);
        require(normalised_path(plain) == plain, "a normalised path changes", plain);
        require(plain.find("//") == plain.npos && (plain + '/').find("/../") == plain.npos &&
                    (plain + '/').find("/./") == plain.npos,
                "a path is not normalised", plain);
        require(resolve_reference(plain, "/elsewhere").path == plain,
                "an absolute path depends on the directory", plain);
    }
    normalised_path(text);
    return 0;
}
