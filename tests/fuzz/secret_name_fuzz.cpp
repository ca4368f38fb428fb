// SPDX-License-Identifier: LGPL-2.1-or-later
// The file of a secret that a definition names by its usage: a name of one component, of that usage
// alone.
#include "fuzz.hpp"

#include "secret_directory.hpp"

namespace {

std::string usage_of(std::string_view file)
{
    std::string usage;
    for (std::size_t i = 0; i < file.size(); ++i) {
        const bool coded = file[i] == '%';
        usage += coded
                     ? static_cast<char>(std::stoi(std::string(file.substr(i + 1, 2)), nullptr, 16))
                     : file[i];
        i += coded ? 2 : 0;
    }
    return usage;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto usage = text_of(data, size);
    const auto file = storage::secret_file_name(usage);
    if (file.empty())
        return 0;
    require(file.find('/') == file.npos && !file.starts_with('.') && file.size() <= 258,
            "a file name that is none", file);
    require(usage_of(file) == usage, "two usages have one file", file);
    return 0;
}
