// SPDX-License-Identifier: LGPL-2.1-or-later
#include <catch2/catch.hpp>

#include "directory_listing.hpp"
#include "file_io.hpp"
#include "temporary_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>

using namespace storage;

namespace {

DirectoryListing list(const TemporaryDirectory& directory)
{
    const auto fd = open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    return DirectoryListing(fd.get(), directory.path());
}

std::set<std::string> names_of(const DirectoryListing& listing)
{
    std::set<std::string> names;
    for (const auto& entry : listing.entries())
        names.insert(entry.name);
    return names;
}

} // namespace

TEST_CASE("an empty directory lists nothing", "[directory_listing]")
{
    const TemporaryDirectory directory;
    CHECK(list(directory).entries().empty());
}

TEST_CASE("hidden files are listed, basin's temporary files are not", "[directory_listing]")
{
    const TemporaryDirectory directory;
    for (const auto* name : {".hidden", ".basin", ".basin-0123456789abcdef", "...", "-", "a b"})
        directory.write(name, "");
    CHECK(names_of(list(directory)) ==
          std::set<std::string>{".hidden", ".basin", "...", "-", "a b"});
}

TEST_CASE("more entries than one call returns are all listed", "[directory_listing]")
{
    const TemporaryDirectory directory;
    std::set<std::string> expected;
    for (int i = 0; i < 2000; ++i) {
        auto name = std::string(240, 'n') + std::to_string(i); // about 550 KiB of records
        directory.write(name, "");
        expected.insert(std::move(name));
    }
    auto listing = list(directory);
    CHECK(listing.entries().size() == expected.size());
    CHECK(names_of(listing) == expected);
    listing.sort_by_inode();
    CHECK(names_of(listing) == expected);
    CHECK(std::is_sorted(listing.entries().begin(), listing.entries().end(),
                         [](const auto& a, const auto& b) { return a.inode < b.inode; }));
}

TEST_CASE("the types come with the names", "[directory_listing]")
{
    const TemporaryDirectory directory;
    REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
    const auto listing = list(directory);
    REQUIRE(listing.entries().size() == 1);
    CHECK((listing.entries()[0].type() == DT_FIFO || listing.entries()[0].type() == DT_UNKNOWN));
}

TEST_CASE("a descriptor that is no directory is an error", "[directory_listing]")
{
    const TemporaryDirectory directory;
    directory.write("file", "");
    const auto fd = open_file(directory / "file", O_RDONLY);
    CHECK_THROWS_AS(DirectoryListing(fd.get(), "file"), Error);
}
