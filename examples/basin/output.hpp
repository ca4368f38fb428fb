// SPDX-License-Identifier: LGPL-2.1-or-later
// Standard output, written whole or with an error; tables and sizes as virsh prints them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace command {

/** Standard output does not take what is written to it. */
class OutputError : public std::runtime_error {
public:
    explicit OutputError(int os_error);
    /** Whoever read the output has had enough of it: no reason to complain. */
    bool reader_gone() const;

private:
    int os_error_;
};

/** Collects text and writes it to a descriptor. */
class Output {
public:
    explicit Output(int fd) : fd_(fd) {}
    void add(std::string_view text);
    /** @throws OutputError */
    void flush();

private:
    int fd_;
    std::string pending_;
};

/** Columns under headings. */
class Table {
public:
    explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    std::string str(bool with_headings) const;

private:
    std::vector<std::string> headings_;
    std::vector<std::vector<std::string>> rows_;
};

/** The text with everything a terminal could take for a command, and what is there to deceive the
 * eye, as \xNN. */
std::string printable(std::string_view text);

/** "10.00 GiB" */
std::string pretty_size(std::uint64_t bytes);

} // namespace command
