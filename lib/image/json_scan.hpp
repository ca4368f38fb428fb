// SPDX-License-Identifier: LGPL-2.1-or-later
// JsonScan: walks through JSON text that is not trusted, in one pass, without memory of its own.
#pragma once

#include "image/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace storage::inline v1::image {

/**
 * Reads the wanted values of a JSON text in order. It recurses only as deep as its caller does and
 * checks only what it needs; after the first error everything reads as absent and ok() is false.
 */
class JsonScan {
public:
    explicit JsonScan(std::string_view text) : text_(text) {}

    bool ok() const { return ok_; }

    /** Calls member(key) before each value of an object; a value that it leaves is skipped. */
    template <typename Member>
    void object(Member&& member)
    {
        each('{', '}', [&] {
            const auto key = string();
            if (!key || !take(':'))
                return fail();
            const auto before = (space(), at_);
            member(*key);
            if (ok_ && at_ == before)
                skip();
        });
    }

    /** Calls element() before each value of an array; a value that it leaves is skipped. */
    template <typename Element>
    void array(Element&& element)
    {
        each('[', ']', [&] {
            const auto before = (space(), at_);
            element();
            if (ok_ && at_ == before)
                skip();
        });
    }

    /** The string that follows, escapes left as they are; nothing if no string follows. */
    std::optional<std::string_view> string()
    {
        if (peek() != '"')
            return std::nullopt;
        const auto begin = ++at_;
        for (; at_ < text_.size(); ++at_) {
            if (text_[at_] == '\\')
                ++at_;
            else if (text_[at_] == '"')
                return text_.substr(begin, at_++ - begin);
        }
        fail();
        return std::nullopt;
    }

    /** The number that follows, also when quoted, as LUKS2 writes 64-bit values. */
    std::optional<std::uint64_t> integer()
    {
        if (peek() == '"')
            return to_integer(string().value_or(std::string_view{}));
        const auto begin = at_;
        scalar();
        return to_integer(text_.substr(begin, at_ - begin));
    }

    /** Passes over the value that follows. */
    void skip()
    {
        std::uint64_t depth = 0;
        do {
            const char next = peek();
            if (next == '"') {
                string();
            } else if (next == '{' || next == '[') {
                ++depth;
                ++at_;
            } else if (next == '}' || next == ']' || next == ',' || next == ':') {
                if (depth == 0)
                    return fail();
                depth -= next == '}' || next == ']';
                ++at_;
            } else {
                scalar();
            }
        } while (ok_ && depth != 0);
    }

private:
    void fail() { ok_ = false; }

    void space()
    {
        at_ = text_.find_first_not_of(" \t\r\n", at_);
        if (at_ == text_.npos)
            at_ = text_.size();
    }

    /** The character that comes next after white space, or NUL at the end and after an error. */
    char peek()
    {
        space();
        return ok_ && at_ < text_.size() ? text_[at_] : '\0';
    }

    bool take(char wanted)
    {
        if (peek() != wanted || !ok_)
            return false;
        ++at_;
        return true;
    }

    /** Passes over a number, true, false or null. */
    void scalar()
    {
        const auto begin = at_;
        at_ = text_.find_first_of(" \t\r\n,:]}[{\"", at_);
        if (at_ == text_.npos)
            at_ = text_.size();
        if (at_ == begin)
            fail();
    }

    template <typename Item>
    void each(char open, char close, Item&& item)
    {
        if (!take(open))
            return fail();
        if (take(close))
            return;
        do
            item();
        while (ok_ && take(','));
        if (!take(close))
            fail();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

} // namespace storage::inline v1::image
