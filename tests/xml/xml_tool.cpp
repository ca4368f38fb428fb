// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads a definition from standard input and prints it again: the golden tests' and the
// comparison's way to the library.
//   xml-tool pool [--strict] [CAPACITY ALLOCATION AVAILABLE]
//   xml-tool capabilities
//   xml-tool volume POOL_TYPE create|create_from|describe [--strict]
#include <basin/backend.hpp>
#include <basin/error.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

using namespace storage;

namespace {

int usage()
{
    std::cerr << "usage: xml-tool pool [--strict] [CAPACITY ALLOCATION AVAILABLE]\n"
                 "       xml-tool capabilities\n"
                 "       xml-tool volume POOL_TYPE create|create_from|describe [--strict]\n";
    return 2;
}

std::string format(const std::vector<std::string>& args, const std::string& input,
                   const ParseOptions& options)
{
    if (args[0] == "capabilities")
        return format_capabilities();
    if (args[0] == "pool") {
        PoolSizes sizes;
        if (args.size() == 4)
            sizes = {parse_size(args[1]), parse_size(args[2]), parse_size(args[3])};
        return format_pool(parse_pool(input, options), &sizes);
    }
    const auto purpose = args[2] == "create"        ? VolumePurpose::create
                         : args[2] == "create_from" ? VolumePurpose::create_from
                                                    : VolumePurpose::describe;
    return format_volume(parse_volume(input, args[1], purpose, options), args[1]);
}

} // namespace

int main(int argc, char** argv)
{
    ParseOptions options;
    std::vector<std::string> args;
    for (int i = 1; i < argc; ++i)
        if (std::strcmp(argv[i], "--strict") == 0)
            options.strict = true;
        else
            args.emplace_back(argv[i]);
    if (args.empty() ||
        (args[0] == "volume" ? args.size() != 3 : args[0] != "pool" && args[0] != "capabilities"))
        return usage();
    options.on_ignored = [](std::string_view line) { std::cerr << "ignored: " << line << '\n'; };

    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    try {
        std::cout << format(args, input, options);
        return 0;
    } catch (const Error& error) {
        std::cerr << to_string(error.code()) << ": " << error.what() << '\n';
        return 1;
    }
}
