// SPDX-License-Identifier: LGPL-2.1-or-later
// Values to JSON and back through one description: an overload of
// `void fields(Io& io, Struct& value)` names each member once, for both directions.
#pragma once

#include "names.hpp"

#include <basin/error.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace storage::inline v1 {

using Json = nlohmann::ordered_json;

/** Writes members into an object; what equals its default is left out. */
class JsonWriter {
public:
    static constexpr bool reading = false;

    template <typename Value>
    void operator()(const char* name, const Value& value, const Value& fallback = Value{})
    {
        if (!(value == fallback))
            object_[name] = to(value);
    }
    /** The same, but always there. */
    template <typename Value>
    void always(const char* name, const Value& value)
    {
        object_[name] = to(value);
    }
    template <typename Enum, std::size_t Count>
    void choice(const char* name, const Enum& value, const std::string_view (&names)[Count])
    {
        object_[name] = names[static_cast<std::size_t>(value)];
    }
    template <typename Enum, std::size_t Count>
    void choice(const char* name, const std::optional<Enum>& value,
                const std::string_view (&names)[Count])
    {
        if (value)
            choice(name, *value, names);
    }

    Json take() { return std::move(object_); }

    static Json to(bool value) { return value; }
    static Json to(std::uint64_t value) { return value; }
    static Json to(std::uint32_t value) { return value; }
    static Json to(std::int64_t value) { return value; }
    static Json to(std::int32_t value) { return value; }
    static Json to(const std::string& value) { return value; }
    static Json to(std::string_view value) { return value; }
    template <typename Value>
    static Json to(const std::optional<Value>& value)
    {
        return to(*value);
    }
    template <typename Value>
    static Json to(const std::vector<Value>& values)
    {
        Json array = Json::array();
        for (const auto& value : values)
            array.push_back(to(value));
        return array;
    }
    template <typename Struct>
    static Json to(const Struct& value)
    {
        JsonWriter writer;
        // The one description serves both directions; writing changes nothing.
        fields(writer, const_cast<Struct&>(value));
        return writer.take();
    }

private:
    Json object_ = Json::object();
};

/** Reads members out of an object, and refuses what is left. */
class JsonReader {
public:
    static constexpr bool reading = true;

    JsonReader(const Json& object, std::string pointer)
        : object_(object), pointer_(std::move(pointer))
    {
        if (!object.is_object())
            fail("is not an object");
    }

    template <typename Value>
    void operator()(const char* name, Value& value, const Value& = Value{})
    {
        if (const auto* found = find(name))
            from(*found, pointer_ + '/' + name, value);
    }
    /** A number or object that must be there; a text that is not is empty, which XML's rules see.
     */
    template <typename Value>
    void always(const char* name, Value& value)
    {
        if constexpr (!std::is_same_v<Value, std::string>)
            require(name);
        (*this)(name, value);
    }
    template <typename Enum, std::size_t Count>
    void choice(const char* name, Enum& value, const std::string_view (&names)[Count])
    {
        require(name);
        std::string word;
        (*this)(name, word);
        for (std::size_t i = 0; i < Count; ++i)
            if (names[i] == word) {
                value = static_cast<Enum>(i);
                return;
            }
        std::string allowed;
        for (const auto each : names)
            allowed += (allowed.empty() ? "" : ", ") + std::string(each);
        fail_at(pointer_ + '/' + name, shown(word) + " is not allowed (allowed: " + allowed + ")");
    }
    template <typename Enum, std::size_t Count>
    void choice(const char* name, std::optional<Enum>& value,
                const std::string_view (&names)[Count])
    {
        if (!find(name))
            return;
        choice(name, value.emplace(), names);
    }

    void require(const char* name)
    {
        if (!find(name))
            fail_at(pointer_ + '/' + name, "the key is missing");
    }

    /** Refuses keys that nobody asked for. */
    void finish() const
    {
        for (const auto& [key, value] : object_.items())
            if (!known_.contains(key))
                fail_at(pointer_ + '/' + escaped(key), "the key is not known");
    }

    template <typename Struct>
    static Struct read(const Json& json, const std::string& pointer)
    {
        Struct value;
        JsonReader reader(json, pointer);
        fields(reader, value);
        reader.finish();
        return value;
    }

private:
    [[noreturn]] static void fail_at(const std::string& pointer, const std::string& message)
    {
        throw Error(ErrorCode::invalid_argument,
                    "JSON, " + (pointer.empty() ? std::string("top level") : pointer) + ": " +
                        message,
                    "correct it there; the JSON schema says what may stand where");
    }
    [[noreturn]] void fail(const std::string& message) const { fail_at(pointer_, message); }

    /** As RFC 6901 writes a key in a pointer; long ones are cut. */
    static std::string escaped(std::string_view key)
    {
        std::string result;
        for (const char c : key.substr(0, 64))
            result += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
        return result;
    }

    const Json* find(const char* name)
    {
        known_.insert(name);
        const auto found = object_.find(name);
        return found == object_.end() ? nullptr : &*found;
    }

    static void from(const Json& json, const std::string& pointer, bool& value)
    {
        if (!json.is_boolean())
            fail_at(pointer, "is not true or false");
        value = json.get<bool>();
    }
    static void from(const Json& json, const std::string& pointer, std::string& value)
    {
        if (!json.is_string())
            fail_at(pointer, "is not a string");
        value = json.get<std::string>();
    }
    template <typename Integer>
    static void from_integer(const Json& json, const std::string& pointer, Integer& value)
    {
        using Limits = std::numeric_limits<Integer>;
        const bool fits =
            json.is_number_unsigned()
                ? json.get<std::uint64_t>() <= static_cast<std::uint64_t>(Limits::max())
                : json.is_number_integer() && Limits::is_signed &&
                      json.get<std::int64_t>() >= static_cast<std::int64_t>(Limits::min());
        if (!fits)
            fail_at(pointer, "is not a whole number from " + std::to_string(Limits::min()) +
                                 " to " + std::to_string(Limits::max()));
        value = json.get<Integer>();
    }
    static void from(const Json& json, const std::string& pointer, std::uint64_t& value)
    {
        from_integer(json, pointer, value);
    }
    static void from(const Json& json, const std::string& pointer, std::uint32_t& value)
    {
        from_integer(json, pointer, value);
    }
    static void from(const Json& json, const std::string& pointer, std::int64_t& value)
    {
        from_integer(json, pointer, value);
    }
    static void from(const Json& json, const std::string& pointer, std::int32_t& value)
    {
        from_integer(json, pointer, value);
    }
    template <typename Value>
    static void from(const Json& json, const std::string& pointer, std::optional<Value>& value)
    {
        Value inner{};
        from(json, pointer, inner);
        value = std::move(inner);
    }
    template <typename Value>
    static void from(const Json& json, const std::string& pointer, std::vector<Value>& values)
    {
        if (!json.is_array())
            fail_at(pointer, "is not an array");
        values.clear();
        for (std::size_t i = 0; i < json.size(); ++i)
            from(json[i], pointer + '/' + std::to_string(i), values.emplace_back());
    }
    template <typename Struct>
    static void from(const Json& json, const std::string& pointer, Struct& value)
    {
        value = read<Struct>(json, pointer);
    }

    const Json& object_;
    std::string pointer_;
    std::set<std::string, std::less<>> known_{};
};

/** Reads at most 1 MiB and 64 levels; a key twice in one object is refused. */
Json parse_json(std::string_view text);

/** One line of JSON. @throws Error invalid_argument  a string is not UTF-8 */
std::string print_json(const Json& json);

} // namespace storage::inline v1
