// SPDX-License-Identifier: LGPL-2.1-or-later
// Call: one run of one verb, with its options, the context it works on, and what it prints.
#pragma once

#include "interrupt.hpp"
#include "json.hpp"
#include "options.hpp"
#include "output.hpp"
#include "progress.hpp"

#include <basin/context.hpp>

namespace command {

using storage::Context;
using storage::Error;
using storage::ErrorCode;
using storage::Job;
using storage::Pool;
using storage::Volume;

class Call {
public:
    Call(const Invocation& invocation, Output& output);
    ~Call();

    // ---- what was asked
    bool given(std::string_view option) const { return invocation_.arguments.has(option); }
    std::string text(std::string_view option) const { return invocation_.arguments.text(option); }
    std::uint64_t number(std::string_view option) const;
    /** The values of an option that takes several. */
    std::vector<std::string> list(std::string_view option) const;
    /** "10G" as virsh reads it: 10 GiB. */
    std::uint64_t size(std::string_view option) const { return size(option, text(option)); }
    /** That option's value without what the verb itself understands of it. */
    std::uint64_t size(std::string_view option, const std::string& value) const;
    bool json() const { return invocation_.globals.has("json"); }
    bool quiet() const { return standard_output_taken_ || invocation_.globals.has("quiet"); }
    bool dry_run() const { return invocation_.globals.has("dry-run"); }
    /** @throws UsageError when more than one of them was given */
    void exclusive(std::initializer_list<std::string_view> options) const;

    // ---- what it works on
    Context& context();
    Job& job() { return job_; }
    const Interrupt& interrupt() const { return interrupt_; }
    bool interrupted() const { return job_.is_cancelled(); }
    /** By uuid, name, or the target path of an active one. */
    Pool pool(std::string_view option = "pool");
    /** In the pool of that option by name, key or path; without a pool by key or path. */
    Volume volume(std::string_view option = "vol", std::string_view pool_option = "pool");
    /** Of whatever pool, by key or path. */
    Volume volume_anywhere(const std::string& text);

    // ---- doing and telling
    /** Runs a changing call with the job. A dry run prints the steps, and the answer is false. */
    template <typename Body>
    bool change(Body&& body)
    {
        body(&job_);
        bar_.clear();
        if (dry_run()) {
            keep_plan();
            print_plan();
        }
        return !dry_run();
    }
    /** Keeps the steps that a dry run listed, before the next call with the job forgets them. */
    void keep_plan();
    /** From now on standard output carries a volume's content and nothing else. @throws UsageError
     * when it should carry JSON */
    void take_standard_output();
    /** "Pool vms started": a message for people, unless they want quiet; members for JSON. With
     * both come the facts that the call told; of these a digest is a result. */
    void done(const std::string& message, JsonObject details = {});
    /** One value: a line for people, the object for JSON. */
    void value(const std::string& line, const JsonObject& object);
    /** A table for people, an array for JSON. */
    void table(const Table& table, const std::vector<std::string>& json_values);
    void print(std::string_view text) { output_.add(text); }
    void flush() { output_.flush(); }
    void warn(const std::string& text);
    std::function<void(std::string_view)> on_ignored();
    /** The exit status when the verb itself succeeds but has bad news. */
    void set_status(int status) { status_ = status; }
    int status() const { return status_; }

private:
    void print_plan();
    void print_facts();
    Volume named_volume(std::string_view option, std::string_view pool_option);
    void log(storage::LogLevel level, std::string_view line);

    const Invocation& invocation_;
    Output& output_;
    Job job_;
    Interrupt interrupt_;
    ProgressBar bar_;
    std::vector<storage::StepRecord> steps_; ///< of a dry run
    std::vector<std::string> warnings_;
    std::optional<Context> context_;
    int status_{};
    bool standard_output_taken_{};
};

/** The whole file, or standard input for "-". @throws Error not_found, permission_denied, io */
std::string read_file(const std::string& path);

/** {"name": …, "uuid": …} */
JsonObject identity(const Pool& pool);
/** {"name": …, "pool": …} */
JsonObject identity(const Volume& volume);

/** A decimal number without sign. @throws Error invalid_argument */
std::uint64_t parse_number(const std::string& text, std::string_view what);

} // namespace command
