// SPDX-License-Identifier: LGPL-2.1-or-later
// Standard output, tables and sizes.
#include "output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <unistd.h>

namespace command {

OutputError::OutputError(int os_error)
    : std::runtime_error(std::string("cannot write the output: ") + std::strerror(os_error)),
      os_error_(os_error)
{
}

bool OutputError::reader_gone() const
{
    return os_error_ == EPIPE;
}

void Output::add(std::string_view text)
{
    constexpr std::size_t enough = 64 * 1024;
    pending_ += text;
    if (pending_.size() >= enough)
        flush();
}

void Output::flush()
{
    std::string_view rest = pending_;
    while (!rest.empty()) {
        const auto written = ::write(fd_, rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            const auto error = errno;
            pending_.clear();
            throw OutputError(error);
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    pending_.clear();
}

namespace {

struct Cell {
    std::string text;
    std::size_t width{}; ///< in columns of a terminal
};

/** Shows nothing by itself, and can make other text look like what it is not: formatting of text
 * that runs both ways, and what has no width (UTR 36). Joiners, which words need, are not meant. */
bool is_deceptive(wchar_t c)
{
    return c == 0x00AD || c == 0x061C || c == 0x180E || c == 0x200B || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xE0000 && c <= 0xE007F);
}

Cell make_cell(std::string_view text)
{
    Cell cell;
    std::mbstate_t state{};
    while (!text.empty()) {
        wchar_t wide{};
        const auto length = std::mbrtowc(&wide, text.data(), text.size(), &state);
        const bool valid = length > 0 && length <= text.size();
        const int width = valid && !is_deceptive(wide) ? ::wcwidth(wide) : -1;
        const auto used = valid ? length : 1;
        if (width >= 0) {
            cell.text += text.substr(0, used);
            cell.width += static_cast<std::size_t>(width);
        } else {
            for (const unsigned char byte : text.substr(0, used)) {
                std::array<char, 5> escape{};
                std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned>(byte));
                cell.text += escape.data();
                cell.width += 4;
            }
            state = {};
        }
        text.remove_prefix(used);
    }
    return cell;
}

std::vector<Cell> make_cells(const std::vector<std::string>& texts)
{
    std::vector<Cell> cells;
    cells.reserve(texts.size());
    for (const auto& text : texts)
        cells.push_back(make_cell(text));
    return cells;
}

void print_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
               std::string& out)
{
    for (std::size_t column = 0; column < row.size(); ++column) {
        out += ' ' + row[column].text;
        if (column + 1 < row.size())
            out.append(widths[column] - row[column].width + 2, ' ');
    }
    out += '\n';
}

} // namespace

std::string Table::str(bool with_headings) const
{
    std::vector<std::vector<Cell>> lines{make_cells(headings_)};
    for (const auto& row : rows_)
        lines.push_back(make_cells(row));
    std::vector<std::size_t> widths(headings_.size());
    for (const auto& line : lines)
        for (std::size_t column = 0; column < widths.size(); ++column)
            widths[column] = std::max(widths[column], line[column].width);

    std::string out;
    if (with_headings) {
        std::size_t total = 0;
        for (const auto width : widths)
            total += width + 3;
        print_row(lines.front(), widths, out);
        out.append(total, '-');
        out += '\n';
    }
    for (std::size_t line = 1; line < lines.size(); ++line)
        print_row(lines[line], widths, out);
    return out;
}

std::string printable(std::string_view text)
{
    return make_cell(text).text;
}

std::string pretty_size(std::uint64_t bytes)
{
    constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2f %s", value, units[unit]);
    return text.data();
}

} // namespace command
