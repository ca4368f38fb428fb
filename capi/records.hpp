// SPDX-License-Identifier: LGPL-2.1-or-later
// Structures for the caller: each list, with all its records and texts, is one block of memory.
#pragma once

#include "boundary.hpp"

#include <basin/volume.hpp>

#include <array>
#include <cstring>

namespace storage::capi {

template <typename Record>
struct Text {
    Text() = default;
    Text(const char* Record::*the_member, std::string_view text) : member(the_member), value(text)
    {
    }
    /** Only looked at when the record is made. */
    Text(const char* Record::*, std::string&&) = delete;

    const char* Record::*member{}; ///< null: no text
    std::string_view value{};
};

template <typename Record>
struct TextList {
    const char* const* Record::*member{};
    std::vector<std::string_view> values{};
};

/** A record's numbers, and the texts that its pointers shall point to. */
template <typename Record>
struct Form {
    Record record{};
    std::array<Text<Record>, 5> texts{};
    std::vector<TextList<Record>> lists{};

    std::size_t pointers() const
    {
        std::size_t count = 0;
        for (const auto& list : lists)
            count += list.values.size() + 1;
        return count;
    }
    std::size_t characters() const
    {
        std::size_t count = 0;
        for (const auto& text : texts)
            count += text.member ? text.value.size() + 1 : 0;
        for (const auto& list : lists)
            for (const auto& value : list.values)
                count += value.size() + 1;
        return count;
    }
};

/** Writes forms into a block that is just large enough. */
template <typename Record>
class RecordWriter {
public:
    RecordWriter(const char** pointers, char* characters)
        : pointers_(pointers), characters_(characters)
    {
    }

    void write(Record& target, const Form<Record>& form)
    {
        target = form.record;
        target.struct_size = sizeof(Record);
        for (const auto& text : form.texts)
            if (text.member)
                target.*text.member = copy(text.value);
        for (const auto& list : form.lists) {
            target.*list.member = pointers_;
            for (const auto& value : list.values)
                *pointers_++ = copy(value);
            *pointers_++ = nullptr;
        }
    }

private:
    const char* copy(std::string_view text)
    {
        char* const start = characters_;
        text.copy(start, text.size());
        start[text.size()] = '\0';
        characters_ += text.size() + 1;
        return start;
    }

    const char** pointers_;
    char* characters_;
};

/** Makes a list that ends with NULL. form_of(value) describes one record and is called twice. */
template <typename Values, typename FormOf>
auto make_records(const Values& values, FormOf form_of)
{
    using Record = decltype(form_of(*values.begin()).record);
    static_assert(alignof(Record) == alignof(void*) && sizeof(Record) % alignof(void*) == 0);
    std::size_t pointers = 0;
    std::size_t characters = 0;
    for (const auto& value : values) {
        const Form<Record> form = form_of(value);
        pointers += form.pointers();
        characters += form.characters();
    }
    Record** const list =
        static_cast<Record**>(allocate((values.size() + 1 + pointers) * sizeof(void*) +
                                       values.size() * sizeof(Record) + characters));
    Record* next = reinterpret_cast<Record*>(list + values.size() + 1);
    const char** const texts = reinterpret_cast<const char**>(next + values.size());
    RecordWriter<Record> writer(texts, reinterpret_cast<char*>(texts + pointers));
    Record** slot = list;
    for (const auto& value : values) {
        writer.write(*next, form_of(value));
        *slot++ = next++;
    }
    *slot = nullptr;
    return list;
}

/** Makes one record. */
template <typename Record>
Record* make_record(const Form<Record>& form)
{
    const std::size_t pointers = form.pointers();
    Record* const record = static_cast<Record*>(
        allocate(sizeof(Record) + pointers * sizeof(void*) + form.characters()));
    const char** const texts = reinterpret_cast<const char**>(record + 1);
    RecordWriter<Record>(texts, reinterpret_cast<char*>(texts + pointers)).write(*record, form);
    return record;
}

inline basin_step** make_steps(const std::vector<StepRecord>& steps)
{
    return make_records(steps, [](const StepRecord& step) {
        Form<basin_step> form;
        form.record.destructive = step.destructive;
        form.texts[0] = {&basin_step::kind, step.kind};
        form.texts[1] = {&basin_step::summary, step.summary};
        form.texts[2] = {&basin_step::undo, step.undo};
        form.lists = {{&basin_step::call, {step.call.begin(), step.call.end()}}};
        return form;
    });
}

inline basin_blocker** make_blockers(const std::vector<Blocker>& blockers)
{
    return make_records(blockers, [](const Blocker& blocker) {
        Form<basin_blocker> form;
        form.record.kind_bit = static_cast<std::uint32_t>(blocker.kind);
        form.record.pid = blocker.pid;
        form.texts[0] = {&basin_blocker::kind, to_string(blocker.kind)};
        form.texts[1] = {&basin_blocker::message, blocker.message};
        return form;
    });
}

} // namespace storage::capi
