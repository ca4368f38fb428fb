// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process_runner.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "process_supervisor.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

// With Command::end_patience, where that is the usual one, less than a call is given to end behind
// its deadline (patience.cpp): else the program's fault would be taken for the storage's.
constexpr auto look_at_job = 100ms;
constexpr auto kill_patience = 2000ms;
constexpr auto linger_patience = 500ms;

struct Pipe {
    UniqueFd read_end{};
    UniqueFd write_end{};

    /** Our end does not block; the program's does, as programs expect. */
    static Pipe make(bool we_read)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            throw system_error(errno, "cannot make a pipe");
        Pipe result{UniqueFd(ends[0]), UniqueFd(ends[1])};
        const auto& ours = we_read ? result.read_end : result.write_end;
        if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0)
            throw system_error(errno, "cannot set up a pipe");
        return result;
    }
};

/**
 * Bytes on their way into the program. Our copy of the read end stays open until all is written, so
 * that a program that does not read them causes no SIGPIPE here.
 */
struct Feed {
    Pipe pipe{};
    std::string_view rest{};

    bool write_some()
    {
        while (!rest.empty()) {
            const auto n = ::write(pipe.write_end.get(), rest.data(), rest.size());
            if (n < 0)
                return false;
            rest.remove_prefix(static_cast<std::size_t>(n));
        }
        pipe = {};
        return true;
    }
};

/** Bytes that come out of the program. */
struct Drain {
    Pipe pipe{};
    std::string text{};

    bool open() const { return static_cast<bool>(pipe.read_end); }

    /** What came; "" when nothing is there. Closes itself at the end. */
    std::string_view read_some()
    {
        char buffer[16384];
        const auto n = ::read(pipe.read_end.get(), buffer, sizeof buffer);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                pipe.read_end.reset();
            return {};
        }
        text.append(buffer, static_cast<std::size_t>(n));
        return std::string_view(text).substr(text.size() - static_cast<std::size_t>(n));
    }
};

std::vector<char*> pointers(const std::vector<std::string>& words)
{
    std::vector<char*> result;
    for (const auto& word : words)
        result.push_back(const_cast<char*>(word.c_str())); // execve(2) does not write to them
    result.push_back(nullptr);
    return result;
}

/** One run of one program, from its start to its end. */
class Session {
public:
    Session(const Command& command, Job* job) : command_(command), job_(job) {}

    CommandResult run(const std::string& path, const std::vector<std::string>& environment);

private:
    enum class Stage { running, terminating, killing, lingering, lingering_killed, over };

    std::vector<DescriptorMove> make_pipes();
    void close_far_ends();
    void await_start(const std::string& path);
    void wait_and_exchange();
    void take_news();
    void collect(Drain& drain);
    void look_at_job_now();
    void lose_patience();
    void end_early(Error why);
    void enter(Stage stage, std::chrono::milliseconds patience);
    int timeout_ms() const;
    CommandResult result();

    const Command& command_;
    Job* job_;
    Drain output_{};
    Drain errors_{};
    std::vector<Feed> feeds_{}; // [0] is standard input
    std::optional<ProcessSupervisor> supervisor_{};
    Stage stage_{Stage::running};
    const steady_clock::time_point started_{steady_clock::now()};
    steady_clock::time_point until_{};
    std::optional<Error> why_{};
    bool ended_{};
    bool stuck_{};
};

CommandResult Session::run(const std::string& path, const std::vector<std::string>& environment)
{
    std::vector<std::string> words{command_.program};
    words.insert(words.end(), command_.arguments.begin(), command_.arguments.end());
    const auto arguments = pointers(words);
    const auto variables = pointers(environment);
    auto moves = make_pipes();
    supervisor_.emplace(ProcessPlan{.path = path.c_str(),
                                    .arguments = arguments.data(),
                                    .environment = variables.data(),
                                    .moves = moves,
                                    .dies_with_us = command_.dies_with_us});
    close_far_ends();
    await_start(path);
    while (stage_ != Stage::over) {
        wait_and_exchange();
        take_news();
        look_at_job_now();
        lose_patience();
    }
    supervisor_->finish();
    return result();
}

std::vector<DescriptorMove> Session::make_pipes()
{
    output_.pipe = Pipe::make(true);
    errors_.pipe = Pipe::make(true);
    feeds_.push_back({Pipe::make(false), command_.input});
    for (const auto& secret : command_.secrets)
        feeds_.push_back({Pipe::make(false), secret.bytes()});

    std::vector<DescriptorMove> moves{{feeds_[0].pipe.read_end.get(), 0},
                                      {output_.pipe.write_end.get(), 1},
                                      {errors_.pipe.write_end.get(), 2}};
    for (std::size_t i = 1; i != feeds_.size(); ++i)
        moves.push_back({feeds_[i].pipe.read_end.get(), first_secret_fd + static_cast<int>(i) - 1});
    for (std::size_t i = 0; i != command_.inherited.size(); ++i)
        moves.push_back({command_.inherited[i], first_inherited_fd + static_cast<int>(i)});
    return moves;
}

void Session::close_far_ends()
{
    output_.pipe.write_end.reset();
    errors_.pipe.write_end.reset();
}

/** Until the program runs, or cannot. Its file may be on a server that does not answer. */
void Session::await_start(const std::string& path)
{
    // No errno here: it belongs to the new processes until they have started.
    for (auto news = supervisor_->receive(); news != ProcessSupervisor::News::started;
         news = supervisor_->receive()) {
        if (news == ProcessSupervisor::News::lost)
            throw Error(ErrorCode::io, shown(command_.program) + ": killed before it started");
        if (!why_)
            look_at_job_now();
        else if (steady_clock::now() >= until_)
            throw Error(*why_);
        pollfd polled[] = {{supervisor_->channel(), POLLIN, 0}, {supervisor_->pidfd(), POLLIN, 0}};
        ::poll(polled, 2, static_cast<int>(look_at_job.count()));
    }
    const int error = supervisor_->start_error();
    if (error == 0) {
        if (why_)
            supervisor_->signal_group(SIGTERM);
        return;
    }
    const auto failure = system_error(error, "cannot run " + shown(path));
    if (error == ENOENT || error == EACCES || error == ENOEXEC)
        throw Error(ErrorCode::unavailable, failure.what(),
                    missing_program(command_.program).remedy(), "", error);
    throw Error(failure);
}

int Session::timeout_ms() const
{
    if (stage_ == Stage::running)
        return job_ || command_.limit.count() > 0 ? static_cast<int>(look_at_job.count()) : -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - steady_clock::now());
    return static_cast<int>(std::max(left, 0ms).count());
}

void Session::wait_and_exchange()
{
    std::vector<pollfd> polled{{ended_ ? -1 : supervisor_->channel(), POLLIN, 0},
                               {ended_ ? -1 : supervisor_->pidfd(), POLLIN, 0},
                               {output_.pipe.read_end.get(), POLLIN, 0},
                               {errors_.pipe.read_end.get(), POLLIN, 0}};
    for (const auto& feed : feeds_)
        polled.push_back({ended_ ? -1 : feed.pipe.write_end.get(), POLLOUT, 0});
    if (::poll(polled.data(), polled.size(), timeout_ms()) <= 0)
        return;
    if (polled[2].revents)
        collect(output_);
    if (polled[3].revents)
        collect(errors_);
    for (std::size_t i = 0; i != feeds_.size(); ++i)
        if (polled[4 + i].revents)
            feeds_[i].write_some();
}

void Session::collect(Drain& drain)
{
    const auto piece = drain.read_some();
    if (why_) { // only so that the program is not held up while it ends
        drain.text.clear();
        return;
    }
    if (drain.text.size() > command_.output_limit)
        end_early({ErrorCode::parse_failed,
                   shown(command_.program) + ": wrote more than " +
                       std::to_string(command_.output_limit) + " bytes to standard " +
                       (&drain == &output_ ? "output" : "error"),
                   "", "command: " + quoted(command_)});
    else if (&drain == &output_ && command_.on_output && !piece.empty())
        command_.on_output(piece);
}

void Session::take_news()
{
    const auto news = ended_ ? ProcessSupervisor::News::none : supervisor_->receive();
    if (news == ProcessSupervisor::News::lost) {
        why_ = Error(ErrorCode::io,
                     shown(command_.program) + ": killed together with its supervising process");
        stage_ = Stage::over;
    } else if (news == ProcessSupervisor::News::ended) {
        ended_ = true;
        if (why_) {
            if (command_.killable)
                supervisor_->signal_group(SIGKILL); // what it leaves behind
            stage_ = Stage::over;
        } else {
            enter(Stage::lingering, linger_patience);
        }
    }
    if (ended_ && !output_.open() && !errors_.open())
        stage_ = Stage::over;
}

void Session::look_at_job_now()
{
    if (stage_ != Stage::running)
        return;
    try {
        check(job_, command_.program);
        if (command_.limit.count() > 0 && steady_clock::now() >= started_ + command_.limit)
            throw Error(ErrorCode::timed_out,
                        shown(command_.program) + ": no answer after " +
                            std::to_string(command_.limit.count() / 1000) + " s",
                        "look at why the storage is slow");
    } catch (const Error& error) {
        end_early(error);
    }
}

void Session::enter(Stage stage, std::chrono::milliseconds patience)
{
    stage_ = stage;
    until_ = steady_clock::now() + patience;
}

void Session::end_early(Error why)
{
    why_ = std::move(why);
    supervisor_->signal_group(ended_ ? SIGKILL : SIGTERM);
    enter(ended_ ? Stage::over : Stage::terminating, command_.end_patience);
}

void Session::lose_patience()
{
    if (stage_ == Stage::running || stage_ == Stage::over || steady_clock::now() < until_)
        return;
    switch (stage_) {
    case Stage::terminating:
        if (!command_.killable) {
            enter(Stage::terminating, command_.end_patience);
            break;
        }
        supervisor_->signal_group(SIGKILL);
        enter(Stage::killing, kill_patience);
        break;
    case Stage::lingering:
        supervisor_->signal_group(SIGKILL);
        enter(Stage::lingering_killed, linger_patience);
        break;
    case Stage::killing: stuck_ = true; [[fallthrough]];
    default: stage_ = Stage::over;
    }
}

CommandResult Session::result()
{
    if (why_ && stuck_)
        throw Error(why_->code(),
                    std::string(why_->what()) + "; process " +
                        std::to_string(supervisor_->program_pid()) +
                        " cannot be killed while it waits in the kernel",
                    why_->remedy(), why_->detail());
    if (why_)
        throw Error(*why_);
    CommandResult result{.exit_status = supervisor_->end_status(),
                         .output = std::move(output_.text),
                         .errors = std::move(errors_.text)};
    if (supervisor_->end_code() != CLD_EXITED)
        throw signal_error(command_, supervisor_->end_status(), result);
    if (std::find(command_.accepted.begin(), command_.accepted.end(), result.exit_status) ==
        command_.accepted.end())
        throw exit_error(command_, result);
    return result;
}

std::string variable(const char* name)
{
    const char* value = ::secure_getenv(name);
    return value ? value : "";
}

void refuse_nul(const Command& command)
{
    const auto bad = [](const std::string& word) { return word.find('\0') != word.npos; };
    if (bad(command.program) ||
        std::any_of(command.arguments.begin(), command.arguments.end(), bad))
        throw Error(ErrorCode::invalid_argument,
                    shown(command.program) + ": an argument contains the character U+0000");
}

} // namespace

ProcessRunner::ProcessRunner()
    : ProcessRunner(variable("PATH"), variable("HOME"), variable("TMPDIR"))
{
}

ProcessRunner::ProcessRunner(std::string_view path, std::string_view home,
                             std::string_view temporary)
{
    const auto add = [this](std::string_view directory) {
        if (directory.starts_with('/') &&
            std::find(directories_.begin(), directories_.end(), directory) == directories_.end())
            directories_.emplace_back(directory);
    };
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find(':', at), path.size());
        add(path.substr(at, end - at));
        at = end + 1;
    }
    for (const auto* directory : {"/usr/sbin", "/sbin", "/usr/bin", "/bin"})
        add(directory);

    std::string search;
    for (const auto& directory : directories_)
        search += (search.empty() ? "" : ":") + directory;
    environment_ = {"LC_ALL=C", "PATH=" + search};
    if (home.starts_with('/'))
        environment_.push_back("HOME=" + std::string(home));
    if (temporary.starts_with('/'))
        environment_.push_back("TMPDIR=" + std::string(temporary));
}

std::string ProcessRunner::find_program(const std::string& program) const
{
    const auto runnable = [](const std::string& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
               ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
    };
    if (program.find('/') != program.npos)
        return program.starts_with('/') && runnable(program) ? program : "";
    for (const auto& directory : directories_)
        if (!program.empty() && runnable(directory + '/' + program))
            return directory + '/' + program;
    return {};
}

CommandResult ProcessRunner::run(const Command& command, Job* job)
{
    check(job, command.program);
    refuse_nul(command);
    if (command.secrets.size() > secret_limit)
        throw Error(ErrorCode::internal, shown(command.program) + ": too many secrets");
    const auto path = find_program(command.program);
    if (path.empty())
        throw missing_program(command.program);
    auto environment = environment_;
    // Where udev does not run (containers), LVM has to make the links to its volumes itself. It
    // (2.03.16) does so only if told; otherwise it waits for links that nobody makes, and fails.
    if (::access("/run/udev/control", F_OK) != 0)
        environment.emplace_back("DM_DISABLE_UDEV=1");
    return Session(command, job).run(path, environment);
}

} // namespace storage::inline v1
