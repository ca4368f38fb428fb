/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The embedding contract of basin.h: the host's process is as it was before. */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char** environ;

struct process {
    int files;
    int threads;
    char directory[4096];
    char locale[256];
    mode_t mask;
    sigset_t blocked;
    struct sigaction actions[NSIG];
    char** environment;
    size_t environment_size;
    char first_variable[256];
};

static int entries_of(const char* path)
{
    DIR* dir = opendir(path);
    int count = 0;

    while (dir && readdir(dir))
        ++count;
    if (dir)
        closedir(dir);
    return count;
}

static void look_at(struct process* process)
{
    memset(process, 0, sizeof(*process));
    process->files = entries_of("/proc/self/fd");
    process->threads = entries_of("/proc/self/task");
    EXPECT(getcwd(process->directory, sizeof(process->directory)) != NULL);
    snprintf(process->locale, sizeof(process->locale), "%s", setlocale(LC_ALL, NULL));
    process->mask = umask(0);
    umask(process->mask);
    sigprocmask(SIG_BLOCK, NULL, &process->blocked);
    for (int number = 1; number < NSIG; ++number)
        sigaction(number, NULL, &process->actions[number]);
    process->environment = environ;
    while (environ[process->environment_size])
        ++process->environment_size;
    snprintf(process->first_variable, sizeof(process->first_variable), "%s", environ[0]);
}

static void expect_same(const struct process* before, const struct process* after)
{
    EXPECT(before->files == after->files);
    EXPECT(before->threads == after->threads);
    EXPECT_TEXT(after->directory, before->directory);
    EXPECT_TEXT(after->locale, before->locale);
    EXPECT(before->mask == after->mask);
    EXPECT(memcmp(&before->blocked, &after->blocked, sizeof(sigset_t)) == 0);
    for (int number = 1; number < NSIG; ++number)
        EXPECT(before->actions[number].sa_handler == after->actions[number].sa_handler &&
               before->actions[number].sa_flags == after->actions[number].sa_flags);
    EXPECT(before->environment == after->environment);
    EXPECT(before->environment_size == after->environment_size);
    EXPECT_TEXT(after->first_variable, before->first_variable);
}

/** Every descriptor beyond the standard ones closes at exec. */
static void expect_close_on_exec(void)
{
    for (int fd = 3; fd < 256; ++fd) {
        const int flags = fcntl(fd, F_GETFD);

        EXPECT(flags == -1 || (flags & FD_CLOEXEC) != 0);
    }
}

/** What the test itself was started with does not count. */
static void close_inherited_on_exec(void)
{
    for (int fd = 3; fd < 256; ++fd)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int started_without_standard;

/** Where the host has no standard descriptors, their numbers are not what the library opened. */
static void expect_standard_free(void)
{
    for (int fd = 0; fd < 3 && started_without_standard; ++fd)
        EXPECT(fcntl(fd, F_GETFD) == -1);
}

/** Runs pools and volumes through their life, with things that go wrong on the way. */
static void work(void)
{
    basin_context* context = fixture_context();
    basin_pool* pool = fixture_pool(context);
    basin_volume* volume = fixture_volume(pool, "a");
    basin_volume* missing = NULL;
    char* text = NULL;
    int fd = -1;
    struct process during;

    EXPECT_OK(basin_context_event_fd(context, 0, &fd, &error));
    EXPECT_OK(basin_pool_refresh(pool, 0, NULL, &error));
    EXPECT_OK(basin_volume_get_xml(volume, 0, &text, &error));
    basin_free(text);
    EXPECT_CODE(basin_pool_find_volume(pool, "missing", 0, &missing, &error), BASIN_E_NOT_FOUND);
    expect_close_on_exec();
    expect_standard_free();
    look_at(&during);
    EXPECT(during.threads == entries_of("/proc/self/task"));
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    EXPECT_OK(basin_pool_stop(pool, 0, NULL, &error));
    EXPECT_OK(basin_pool_delete(pool, 0, NULL, &error));
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(context);
}

static void test_process_is_unchanged(void)
{
    struct process before;
    struct process after;

    look_at(&before);
    work();
    look_at(&after);
    expect_same(&before, &after);
}

/** The length of what work() writes to both standard descriptors. */
static void test_nothing_is_printed(void)
{
    char path[128];
    struct stat status;
    const int out = dup(STDOUT_FILENO);
    const int err = dup(STDERR_FILENO);
    const int failed_before = expect_failures;
    int file;

    snprintf(path, sizeof(path), "%s/printed", fixture_root);
    file = open(path, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    fcntl(out, F_SETFD, FD_CLOEXEC);
    fcntl(err, F_SETFD, FD_CLOEXEC);
    fflush(NULL);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    work();
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    EXPECT(expect_failures == failed_before);
    EXPECT(fstat(file, &status) == 0 && status.st_size == 0);
    close(file);
    close(out);
    close(err);
}

static void test_child_signals_can_be_ignored(void)
{
    struct sigaction ignore;
    struct sigaction before;
    struct sigaction after;

    memset(&ignore, 0, sizeof(ignore));
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGCHLD, &ignore, &before);
    work();
    sigaction(SIGCHLD, &before, &after);
    EXPECT(after.sa_handler == SIG_IGN);
}

static void test_standard_descriptors_may_be_missing(void)
{
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        expect_failures = 0;
        started_without_standard = 1;
        for (int fd = 0; fd < 3; ++fd)
            close(fd);
        work();
        expect_standard_free();
        _exit(failures());
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

/** The child of a fork leaves the parent's objects alone, and may open its own. */
static void test_fork(void)
{
    basin_context* context = fixture_context();
    basin_pool* pool = fixture_pool(context);
    int status = -1;
    int active = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    EXPECT_OK(basin_pool_refresh(pool, 0, NULL, &error));

    child = fork();
    if (child == 0) {
        basin_context* own = fixture_context();
        basin_pool* seen = NULL;

        expect_failures = 0;
        EXPECT_OK(basin_context_find_pool(own, "vms", 0, &seen, &error));
        EXPECT_OK(basin_pool_stop(seen, 0, NULL, &error));
        basin_pool_free(seen);
        basin_context_free(own);
        _exit(failures());
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    EXPECT_OK(basin_pool_is_active(pool, 0, &active, &error));
    EXPECT(active == 0);
    EXPECT_OK(basin_pool_undefine(pool, 0, NULL, &error));
    basin_pool_free(pool);
    basin_context_free(context);
}

int main(void)
{
    close_inherited_on_exec();
    fixture_open();
    setlocale(LC_ALL, "C");
    test_process_is_unchanged();
    test_nothing_is_printed();
    test_child_signals_can_be_ignored();
    test_standard_descriptors_may_be_missing();
    test_fork();
    return failures();
}
