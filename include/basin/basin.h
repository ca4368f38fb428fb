/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * basin.h: storage pools and volumes for virtual machines, inside your own process. The C ABI.
 *
 * What basin promises to the program that embeds it
 *   - Nothing calls back on a thread that the program did not bring, and no thread outlives a call;
 *     but where storage does not answer, a call with a deadline (or one that only looks: after 30
 *     seconds, or the context's look_timeout) ends with BASIN_E_TIMED_OUT and leaves a thread that
 *     waits in the kernel. There is at most one for each call under way when the storage failed,
 *     and for each later one of basin_explain_access() and basin_image_inspect(), which know no
 *     pool; they end when it answers.
 *   - No signal handler is installed. Children are waited for by descriptor, also when SIGCHLD is
 *     ignored.
 *   - It never calls setenv, umask, chdir, setlocale, exit or abort, and prints nothing.
 *   - Every descriptor is close-on-exec and none is 0, 1 or 2, also where the process was started
 *     without these. There is no global mutable state: two contexts in one process share nothing
 *     but the disk. The library can be unloaded with dlclose() once all its objects are freed.
 *   - No C++ exception leaves a function.
 *   - It needs no configuration file and no daemon, and runs without privileges wherever the
 *     kernel allows the work itself.
 *   - Secrets come through a callback and reach no argument list, environment, log or error text.
 *   - After fork() the child leaves the parent's objects alone and makes its own context. Locks and
 *     holds stay the parent's, and end with it.
 *
 * How every function is built
 *   int basin_NOUN_VERB(subject, inputs ..., uint32_t flags, basin_job *job, outputs ...,
 *                       basin_error **error);
 *   - It returns BASIN_OK or a negative BASIN_E_ code. Every such function can also return
 *     BASIN_E_INVALID_ARGUMENT (a NULL where none is allowed, an unknown flag bit, a bad value),
 *     BASIN_E_NO_MEMORY and BASIN_E_INTERNAL, and one that uses a pool or volume
 *     BASIN_E_NOT_FOUND once that has vanished; one that takes a job BASIN_E_CANCELLED and
 *     BASIN_E_TIMED_OUT, and where it changes something BASIN_E_BUSY (another call has the lock:
 *     basin_job_set_wait()); one that "blocks on the storage", as its note says, what that storage
 *     answers: BASIN_E_INVALID_STATE (started, but not accessible now), BASIN_E_UNAVAILABLE,
 *     BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_CONNECTION, BASIN_E_COMMAND_FAILED,
 *     BASIN_E_PARSE_FAILED or, after 30 seconds or the context's look_timeout, BASIN_E_TIMED_OUT.
 *     The lists below name the codes beyond these, and those that mean something of their own.
 *   - "Blocks on the disk" means basin's own files, which are local as a rule; "on the storage"
 *     what a pool is made of, and with it its server or tools.
 *   - `flags` is 0 or the bits that the function names. `job` may be NULL. Functions that take a
 *     job can last long, and can be cancelled; the others read or write local state at most.
 *   - Outputs are written only on success and must not be NULL. `error` may be NULL; otherwise it
 *     is set to NULL on success and to a new object on failure, which basin_error_free() frees.
 *     What it held before is not freed.
 *   - Functions that return a value cannot fail. A `const char *` that is returned belongs to the
 *     object it was asked of, is never NULL, and lives as long as that object. With a NULL object
 *     they return "", 0 or NULL.
 *
 * Ownership
 *   - What comes out through a `T **` belongs to the caller and is freed with its own function:
 *     basin_pool_free() and so on; basin_free() for a `char *`. Freeing NULL does nothing. Freeing
 *     a handle never changes the pool or volume.
 *   - Lists are arrays that end with NULL; `count` is their length without it. The list's own
 *     function frees the array and everything in it.
 *   - Handles keep their context open: it is closed when it and all handles from it are freed, in
 *     any order.
 *   - Texts given in are copied; they are NUL-terminated UTF-8. Sizes are bytes.
 *   - Structures begin with struct_size and only grow at the end. basin allocates and fills those
 *     that come out; a program that was compiled later than the library was checks struct_size
 *     before it reads a member that it knows to be new. Those that go in are set up with their
 *     _INIT macro.
 *   - A callback is a function, its user_data, and free_user_data (NULL: nothing to free), which
 *     is called exactly once when the callback can no longer be called; also when the function
 *     that took the callback fails. Callbacks must not throw or longjmp, nor free the object that
 *     they are called for.
 *
 * Threads
 *   "Thread-safe" means: callable from any thread at any time, also on the same object, as long as
 *   nobody frees it meanwhile. Where less is promised, the function says so.
 */
#ifndef BASIN_BASIN_H
#define BASIN_BASIN_H

#include <stddef.h>
#include <stdint.h>

#include <basin/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A root object: directories, callbacks, pools. Any number can exist. */
typedef struct basin_context basin_context;
/** A handle to one pool object, not to a pool name. */
typedef struct basin_pool basin_pool;
/** A handle to one volume of one pool object. */
typedef struct basin_volume basin_volume;
/** Accompanies one long call at a time: progress, cancel, deadline, dry run, trace. The next call
 * with it begins with new progress, plan and trace; a cancelled job stays cancelled. */
typedef struct basin_job basin_job;
/** What went wrong. Immutable; can be passed between threads. */
typedef struct basin_error basin_error;
/** Where a secret callback puts its answer. */
typedef struct basin_secret_reply basin_secret_reply;

/* ---- version and memory ---------------------------------------------------------------------- */

/**
 * Returns the version of the library that is loaded, such as "0.1.0"; compare it with
 * BASIN_VERSION_STRING, the version of this header.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_version_string(void);

/**
 * Returns the loaded library's version as a number like BASIN_VERSION_NUMBER.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API uint32_t basin_version_number(void);

/**
 * Frees a text that basin gave out. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_free(void* text);

/**
 * Frees a list of texts. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_string_list_free(char** list);

/* ---- errors ---------------------------------------------------------------------------------- */

/** Results. The numbers are frozen; new codes are appended: treat an unknown one as internal. */
enum basin_code {
    BASIN_OK = 0,
    BASIN_E_INVALID_ARGUMENT = -1,   /**< NULL, unknown flag, bad value: fix the call */
    BASIN_E_INVALID_XML = -2,        /**< definition not accepted: fix the definition */
    BASIN_E_NOT_FOUND = -3,          /**< no such pool, volume, source, path: look it up again */
    BASIN_E_ALREADY_EXISTS = -4,     /**< name, uuid, source or path is taken: choose another */
    BASIN_E_INVALID_STATE = -5,      /**< e.g. volume call on an inactive pool: start it first */
    BASIN_E_NOT_SUPPORTED = -6,      /**< the pool type cannot do this: do not retry */
    BASIN_E_UNAVAILABLE = -7,        /**< tool, kernel feature, library missing: install it */
    BASIN_E_BUSY = -8,               /**< another process or user holds it: retry later */
    BASIN_E_NO_SPACE = -9,           /**< no room, or over quota: free or add space */
    BASIN_E_PERMISSION_DENIED = -10, /**< the system refuses: change rights or user */
    BASIN_E_IO = -11,                /**< other system error: see basin_error_os_error() */
    BASIN_E_CONNECTION = -12,        /**< server not reachable: retry, or mend the network */
    BASIN_E_COMMAND_FAILED = -13,    /**< a tool failed: see basin_error_detail() */
    BASIN_E_PARSE_FAILED = -14,      /**< a tool or file answered something not understood */
    BASIN_E_TIMED_OUT = -15,         /**< the deadline passed: retry */
    BASIN_E_CANCELLED = -16,         /**< basin_job_cancel() was called: nothing to do */
    BASIN_E_NO_MEMORY = -17,         /**< out of memory */
    BASIN_E_INTERNAL = -18           /**< a bug in basin: report it */
};

/**
 * Returns the name of a code, such as "not_found"; "ok" for BASIN_OK, "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_error_name(int code);

/**
 * Returns the code of an error; BASIN_OK for NULL.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_error_code(const basin_error* error);

/**
 * Returns what happened in one line without a full stop, with the object and the value named.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_error_message(const basin_error* error);

/**
 * Returns what the caller can do about it, in one line; may be "".
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_error_remedy(const basin_error* error);

/**
 * Returns the evidence over several lines (command with secrets redacted, exit status, what it
 * wrote); may be "".
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_error_detail(const basin_error* error);

/**
 * Returns the errno value behind the error, or 0.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_error_os_error(const basin_error* error);

/**
 * Returns 1 if the same call can succeed later without a change by the caller (busy, timed out,
 * connection), else 0.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_error_retryable(const basin_error* error);

/**
 * Returns the whole error as a JSON object, to be freed with basin_free(); NULL for a NULL error
 * and when there is no memory.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API char* basin_error_json(const basin_error* error);

/**
 * Frees an error. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_error_free(basin_error* error);

/* ---- pool types ------------------------------------------------------------------------------ */

/** What a pool type can do: bit numbers of basin_backend_info.capabilities. Appended, never
 * changed. */
enum basin_capability {
    BASIN_CAPABILITY_FIND_SOURCES = 0,
    BASIN_CAPABILITY_BUILD_POOL = 1,
    BASIN_CAPABILITY_OVERWRITE_POOL = 2, /**< BASIN_BUILD_OVERWRITE and _NO_OVERWRITE */
    BASIN_CAPABILITY_START_POOL = 3,     /**< start and stop do something outside the process */
    BASIN_CAPABILITY_DELETE_POOL = 4,
    BASIN_CAPABILITY_CREATE_VOLUME = 5,
    BASIN_CAPABILITY_CREATE_FROM = 6, /**< copy another volume */
    BASIN_CAPABILITY_DELETE_VOLUME = 7,
    BASIN_CAPABILITY_GROW_VOLUME = 8,
    BASIN_CAPABILITY_SHRINK_VOLUME = 9,
    BASIN_CAPABILITY_RENAME_VOLUME = 10,
    BASIN_CAPABILITY_WIPE_VOLUME = 11,
    BASIN_CAPABILITY_UPLOAD = 12,
    BASIN_CAPABILITY_DOWNLOAD = 13,
    BASIN_CAPABILITY_SNAPSHOTS = 14,
    BASIN_CAPABILITY_THIN_VOLUME = 15,    /**< allocation below capacity */
    BASIN_CAPABILITY_BACKING_IMAGES = 16, /**< volumes on top of other volumes */
    BASIN_CAPABILITY_ENCRYPTED_VOLUME = 17,
    BASIN_CAPABILITY_REFLINK = 18,
    BASIN_CAPABILITY_NAMES_ONLY = 19, /**< lists names without opening volumes */
    BASIN_CAPABILITY_WATCH = 20,      /**< can tell at once what others do: BASIN_CONTEXT_WATCH */
    BASIN_CAPABILITY_FLATTEN_VOLUME = 21,
    BASIN_CAPABILITY_METADATA = 22, /**< keys and values of volumes */
    BASIN_CAPABILITY_PROTECT_SNAPSHOTS = 23
};

/** Parts of a pool's <source>: bits of basin_backend_info.source_required and _accepted. */
enum basin_source_field {
    BASIN_SOURCE_HOST = 1 << 0,
    BASIN_SOURCE_DEVICE = 1 << 1,
    BASIN_SOURCE_DIR = 1 << 2,
    BASIN_SOURCE_ADAPTER = 1 << 3,
    BASIN_SOURCE_NAME = 1 << 4,
    BASIN_SOURCE_INITIATOR = 1 << 5,
    BASIN_SOURCE_AUTH = 1 << 6,
    BASIN_SOURCE_PROTOCOL = 1 << 7
};

/** Parts of a pool's XML beyond source and target: bits of basin_backend_info.options. */
enum basin_pool_option {
    BASIN_OPTION_COPY_ON_WRITE = 1 << 0, /**< features/cow */
    BASIN_OPTION_MOUNT = 1 << 1,         /**< fs:mount_opts */
    BASIN_OPTION_CONFIG = 1 << 2,        /**< rbd:config_opts */
    BASIN_OPTION_REFRESH = 1 << 3,       /**< refresh/volume/@allocation */
    BASIN_OPTION_PROVISIONING = 1 << 4,  /**< target/provisioning of volumes */
    BASIN_OPTION_NAMES_VOLUMES = 1 << 5  /**< names new volumes: a definition may leave it out */
};

/** How a pool type treats <target><path>. */
enum basin_target_path {
    BASIN_TARGET_PATH_REQUIRED = 0, /**< the definition gives it */
    BASIN_TARGET_PATH_FIXED = 1,    /**< the pool type decides: target_prefix + source name */
    BASIN_TARGET_PATH_NONE = 2      /**< no path on this host */
};

/** What a volume is to its user; the numbers are libvirt's. */
enum basin_volume_type {
    BASIN_VOLUME_FILE = 0,
    BASIN_VOLUME_BLOCK = 1,
    BASIN_VOLUME_DIR = 2,
    BASIN_VOLUME_NETWORK = 3,
    BASIN_VOLUME_NETDIR = 4,
    BASIN_VOLUME_PLOOP = 5
};

/** A pool type as data: all that a user interface needs to offer only what works. */
typedef struct basin_backend_info {
    uint32_t struct_size;
    uint32_t available;       /**< 1: implemented, built in, and what it needs is on this host */
    uint64_t capabilities;    /**< 1 << BASIN_CAPABILITY_..., combined */
    uint32_t volume_type;     /**< BASIN_VOLUME_... */
    uint32_t target_path;     /**< BASIN_TARGET_PATH_... */
    uint32_t source_required; /**< BASIN_SOURCE_..., combined */
    uint32_t source_accepted; /**< BASIN_SOURCE_..., combined */
    uint32_t source_name_defaults_to_pool_name;
    uint32_t options; /**< BASIN_OPTION_..., combined */
    const char* type; /**< the XML's name */
    const char* summary;
    const char* unavailable_reason; /**< "" when available */
    const char* target_prefix;
    const char* source_dir_default; /**< source/dir where the definition gives none */
    /* Lists that end with NULL; the default comes first. */
    const char* const* source_formats;
    const char* const* protocol_formats; /**< the source_formats that take source/protocol/@ver */
    const char* const* volume_formats;
    const char* const* creatable_formats; /**< the volume_formats that can be created */
    const char* const* tools;             /**< programs that it runs */
    const char* const* libraries;         /**< shared libraries that it loads when first needed */
} basin_backend_info;

/**
 * Returns the name of a capability, such as "create_volume"; "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_capability_name(uint32_t capability);

/**
 * Lists the names of all pool types, available or not, in libvirt's order.
 * @param flags  0
 * @param types  freed with basin_string_list_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_backend_list(uint32_t flags, char*** types, size_t* count, basin_error** error);

/**
 * Describes one pool type.
 * @param flags  0
 * @param info   freed with basin_backend_info_free()
 * @return BASIN_OK, or BASIN_E_NOT_FOUND: no such type
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_backend_get_info(const char* type, uint32_t flags, basin_backend_info** info,
                                     basin_error** error);

/**
 * Describes one pool type as a JSON object.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, or BASIN_E_NOT_FOUND: no such type
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_backend_get_json(const char* type, uint32_t flags, char** json,
                                     basin_error** error);

/**
 * Frees the description of a pool type. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_backend_info_free(basin_backend_info* info);

/**
 * Prints all pool types as libvirt's <storagepoolCapabilities>.
 * @param flags  0
 * @param xml    freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_backend_get_capabilities_xml(uint32_t flags, char** xml, basin_error** error);

/* ---- definitions ----------------------------------------------------------------------------- */

/** How a definition is read; for every function that takes one. */
enum basin_definition_flags {
    BASIN_DEFINITION_STRICT = 1 << 16, /**< refuse what would be ignored (libvirt's VALIDATE) */
    /** The text is JSON as basin prints it, not XML. BASIN_E_INVALID_ARGUMENT: it is none, has an
     * unknown key or a value of another kind or out of range, or lacks a number or word that its
     * schema requires; the capacity alone may be missing where XML may leave it out. For all else
     * it is held to the rules of XML: what an XML definition may not say is BASIN_E_INVALID_XML. */
    BASIN_DEFINITION_JSON = 1 << 17
};

/** What a volume definition is for; decides which parts it must have. */
enum basin_volume_purpose {
    BASIN_PURPOSE_CREATE = 0,      /**< capacity required unless a backing image is given */
    BASIN_PURPOSE_CREATE_FROM = 1, /**< capacity optional */
    BASIN_PURPOSE_DESCRIBE = 2     /**< what basin itself printed: output-only parts are read too */
};

/**
 * Reads a pool definition and lists what in it was understood but has no effect, a line each.
 * @param flags    0 or BASIN_DEFINITION_JSON
 * @param ignored  freed with basin_string_list_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML (line, column, element, value and what is allowed),
 *         BASIN_E_INVALID_ARGUMENT (JSON) or BASIN_E_NOT_SUPPORTED: an element that this pool type
 *         cannot honour
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_definition_check(const char* definition, uint32_t flags, char*** ignored,
                                          size_t* count, basin_error** error);

/**
 * Turns a pool definition into XML, defaults filled in, as libvirt prints it.
 * @param flags  0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param xml    freed with basin_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML, BASIN_E_INVALID_ARGUMENT (JSON) or BASIN_E_NOT_SUPPORTED
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_definition_to_xml(const char* definition, uint32_t flags, char** xml,
                                           basin_error** error);

/**
 * Turns a pool definition into JSON, defaults filled in; nothing is lost on the way back.
 * @param flags  0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML, BASIN_E_INVALID_ARGUMENT (JSON) or BASIN_E_NOT_SUPPORTED
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_definition_to_json(const char* definition, uint32_t flags, char** json,
                                            basin_error** error);

/**
 * Reads a volume definition and lists what in it was understood but has no effect, a line each.
 * @param pool_type  such as "dir"
 * @param purpose    BASIN_PURPOSE_...
 * @param flags      0 or BASIN_DEFINITION_JSON
 * @param ignored    freed with basin_string_list_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML or BASIN_E_INVALID_ARGUMENT (JSON, pool_type)
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_definition_check(const char* definition, const char* pool_type,
                                            uint32_t purpose, uint32_t flags, char*** ignored,
                                            size_t* count, basin_error** error);

/**
 * Turns a volume definition for a pool of the given type into XML, as libvirt prints it.
 * @param purpose  BASIN_PURPOSE_...
 * @param flags    0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param xml      freed with basin_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML or BASIN_E_INVALID_ARGUMENT (JSON, pool_type)
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_definition_to_xml(const char* definition, const char* pool_type,
                                             uint32_t purpose, uint32_t flags, char** xml,
                                             basin_error** error);

/**
 * Turns a volume definition into JSON; nothing is lost on the way back.
 * @param purpose  BASIN_PURPOSE_...
 * @param flags    0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param json     freed with basin_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML or BASIN_E_INVALID_ARGUMENT (JSON, pool_type)
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_definition_to_json(const char* definition, const char* pool_type,
                                              uint32_t purpose, uint32_t flags, char** json,
                                              basin_error** error);

/**
 * Reads a size as the XML does: a whole number and a unit such as "", "B", "KiB", "GB".
 * @param unit   NULL or "": bytes
 * @param flags  0
 * @return BASIN_OK, or BASIN_E_INVALID_ARGUMENT: no number, no such unit, or above 2^63 - 1
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_parse_size(const char* number, const char* unit, uint32_t flags,
                               uint64_t* bytes, basin_error** error);

/**
 * Gives the JSON Schema (draft 2020-12) of every JSON text that basin reads or prints.
 * @param flags   0
 * @param schema  freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_json_schema(uint32_t flags, char** schema, basin_error** error);

/* ---- jobs ------------------------------------------------------------------------------------ */

/** How far a call has come. */
typedef struct basin_progress {
    uint32_t struct_size;
    uint32_t reserved; /**< 0 */
    uint64_t done;     /**< in bytes, or in items where the phase has no bytes */
    uint64_t total;    /**< 0: not known */
    const char* phase; /**< what it does now, such as "copying" */
    uint64_t rate;     /**< of the phase so far, per second */
} basin_progress;

/** Is told about progress on the thread of the call: at most every 100 ms, and at each change of
 * phase. `progress` lives as long as the callback runs. */
typedef struct basin_progress_callback {
    void (*fn)(void* user_data, const basin_progress* progress);
    void* user_data;
    void (*free_user_data)(void* user_data);
} basin_progress_callback;

/** One step of a change, as planned or as done. `call` is the program with the arguments that it is
 * given, or the library's or system's call that has the effect with the paths and numbers that it
 * is about; several that one step makes are parted by the word "&&". A file that is made under a
 * temporary name has its final path there, and "***" stands for secrets and the descriptors that
 * they come through. What is drawn or found out only when the step runs is a word, such as "UUID",
 * or "copy" for how a copy gets its bytes: see basin_job_get_fact(). */
typedef struct basin_step {
    uint32_t struct_size;
    uint32_t destructive;    /**< 1: loses data that cannot be brought back */
    const char* kind;        /**< "mkdir", "write_file", "command" ... */
    const char* summary;     /**< in words */
    const char* undo;        /**< how it is undone, in words; "" where it cannot be */
    const char* const* call; /**< what is called; ends with NULL */
} basin_step;

/**
 * Makes a job: no deadline, no wait, no dry run.
 * @param flags  0
 * @param job    freed with basin_job_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_new(uint32_t flags, basin_job** job, basin_error** error);

/**
 * Frees a job that no call uses any more. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_job_free(basin_job* job);

/**
 * Ends the call that uses this job with BASIN_E_CANCELLED as soon as it can stop cleanly. NULL
 * does nothing.
 * @note Does not block. Thread-safe and async-signal-safe.
 * @since 0.1
 */
BASIN_API void basin_job_cancel(basin_job* job);

/**
 * Returns 1 if basin_job_cancel() was called, else 0.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_is_cancelled(const basin_job* job);

/**
 * Ends calls with this job with BASIN_E_TIMED_OUT once this much time has passed from now; where
 * the storage does not answer at all, within half a second after that.
 * @param milliseconds  0: no deadline
 * @param flags         0
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Not while a call uses the job.
 * @since 0.1
 */
BASIN_API int basin_job_set_timeout(basin_job* job, uint64_t milliseconds, uint32_t flags,
                                    basin_error** error);

/**
 * Returns the milliseconds until the deadline, 0 if it has passed, -1 if there is none.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int64_t basin_job_time_left(const basin_job* job);

/**
 * Sets how long a call waits for a lock that another holds; without it the call fails with
 * BASIN_E_BUSY at once.
 * @param flags  0
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Not while a call uses the job.
 * @since 0.1
 */
BASIN_API int basin_job_set_wait(basin_job* job, uint64_t milliseconds, uint32_t flags,
                                 basin_error** error);

/**
 * Returns the milliseconds that basin_job_set_wait() set.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API uint64_t basin_job_wait(const basin_job* job);

/**
 * With 1, a changing call only lists its steps (basin_job_list_plan()) and changes nothing.
 * @param flags  0
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Not while a call uses the job.
 * @since 0.1
 */
BASIN_API int basin_job_set_dry_run(basin_job* job, int dry_run, uint32_t flags,
                                    basin_error** error);

/**
 * Returns 1 if the job is for dry runs, else 0.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_is_dry_run(const basin_job* job);

/**
 * Sets, or with NULL removes, the function that is told about progress.
 * @param callback  copied; its free_user_data runs when the job is freed, gets another callback,
 *                  or this function fails
 * @param flags     0
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Not while a call uses the job.
 * @since 0.1
 */
BASIN_API int basin_job_set_progress_callback(basin_job* job,
                                              const basin_progress_callback* callback,
                                              uint32_t flags, basin_error** error);

/**
 * Tells how far the call that uses the job has come.
 * @param flags     0
 * @param progress  freed with basin_progress_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_get_progress(const basin_job* job, uint32_t flags,
                                     basin_progress** progress, basin_error** error);

/**
 * Frees a progress report. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_progress_free(basin_progress* progress);

/**
 * Lists the steps that the last call with this job set out to do, in order.
 * @param flags  0
 * @param steps  freed with basin_step_list_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_list_plan(const basin_job* job, uint32_t flags, basin_step*** steps,
                                  size_t* count, basin_error** error);

/**
 * Lists the steps that the last call with this job did, in order.
 * @param flags  0
 * @param steps  freed with basin_step_list_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_list_trace(const basin_job* job, uint32_t flags, basin_step*** steps,
                                   size_t* count, basin_error** error);

/**
 * Gives basin_job_list_plan() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_get_plan_json(const basin_job* job, uint32_t flags, char** json,
                                      basin_error** error);

/**
 * Gives basin_job_list_trace() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_get_trace_json(const basin_job* job, uint32_t flags, char** json,
                                       basin_error** error);

/**
 * Frees a list of steps. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_step_list_free(basin_step** list);

/**
 * Gives one of the things that the last call with this job told besides its result. "method": how
 * it copied (reflink, copy_file_range, sparse_copy, qemu-img); "reason": why not a cheaper way;
 * "sha256": of the content, where that was asked for.
 * @param name   such as "method"; more may come
 * @param flags  0
 * @param value  NULL if the call told no such thing; freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_get_fact(const basin_job* job, const char* name, uint32_t flags,
                                 char** value, basin_error** error);

/**
 * Gives all of what basin_job_get_fact() gives as a JSON object of texts; "{}" if there is nothing.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_job_get_facts_json(const basin_job* job, uint32_t flags, char** json,
                                       basin_error** error);

/* ---- events ---------------------------------------------------------------------------------- */

/** What happened. New kinds are only appended. */
enum basin_event_kind {
    BASIN_EVENT_POOL_DEFINED = 0,
    BASIN_EVENT_POOL_UNDEFINED = 1,
    BASIN_EVENT_POOL_STARTED = 2,
    BASIN_EVENT_POOL_STOPPED = 3,
    BASIN_EVENT_POOL_BUILT = 4,
    BASIN_EVENT_POOL_DELETED = 5,
    BASIN_EVENT_POOL_REFRESHED = 6,
    BASIN_EVENT_POOL_CHANGED = 7, /**< autostart or state */
    BASIN_EVENT_VOLUME_CREATED = 8,
    BASIN_EVENT_VOLUME_CHANGED = 9,
    BASIN_EVENT_VOLUME_DELETED = 10,
    BASIN_EVENT_OVERFLOW = 11 /**< events were lost unread: look at everything again */
};

/** One event. */
typedef struct basin_event {
    uint32_t struct_size;
    uint32_t kind;     /**< BASIN_EVENT_... */
    uint64_t sequence; /**< counts from 1 in each context, without gaps */
    int64_t seconds;   /**< since 1970, wall clock */
    uint32_t nanoseconds;
    uint32_t from_other_process;
    const char* pool_name;
    const char* pool_uuid;
    const char* volume_name; /**< "" unless it is about a volume */
} basin_event;

/**
 * Returns the name of a kind of event, such as "pool_started"; "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_event_kind_name(uint32_t kind);

/**
 * Gives an event as a JSON object.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_event_to_json(const basin_event* event, uint32_t flags, char** json,
                                  basin_error** error);

/**
 * Frees an event. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_event_free(basin_event* event);

/* ---- contexts -------------------------------------------------------------------------------- */

enum basin_log_level {
    BASIN_LOG_DEBUG = 0,
    BASIN_LOG_INFO = 1,
    BASIN_LOG_WARNING = 2,
    BASIN_LOG_ERROR = 3
};

/** Is given one line without a line break, on the thread of the call that has something to say. */
typedef struct basin_log_callback {
    void (*fn)(void* user_data, uint32_t level, const char* line);
    void* user_data;
    void (*free_user_data)(void* user_data);
} basin_log_callback;

enum basin_secret_usage { BASIN_SECRET_VOLUME = 0, BASIN_SECRET_CEPH = 1, BASIN_SECRET_ISCSI = 2 };

/**
 * Which secret is needed, and for what. Named by uuid or by usage; the other one is "". A volume
 * that exists does not name its secret; then usage is its path.
 */
typedef struct basin_secret_request {
    uint32_t struct_size;
    uint32_t usage_type; /**< BASIN_SECRET_... */
    const char* uuid;
    const char* usage;
    const char* pool_name;
    const char* volume_name;
} basin_secret_request;

/**
 * Is asked for a secret on the thread of the call that needs it. It answers with
 * basin_secret_reply_set() and returns BASIN_OK; without an answer the call fails with
 * BASIN_E_NOT_FOUND, and with a negative code that it returns, the call fails with that code.
 */
typedef struct basin_secret_callback {
    int (*fn)(void* user_data, const basin_secret_request* request, basin_secret_reply* reply);
    void* user_data;
    void (*free_user_data)(void* user_data);
} basin_secret_callback;

/**
 * Answers a request for a secret. The bytes are copied, and wiped after use.
 * @param flags  0
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Only in the callback that was given this reply.
 * @since 0.1
 */
BASIN_API int basin_secret_reply_set(basin_secret_reply* reply, const void* bytes, size_t length,
                                     uint32_t flags, basin_error** error);

/** Where a context keeps its files and whom it asks. NULL and 0 everywhere are good defaults. */
typedef struct basin_context_options {
    uint32_t struct_size; /**< sizeof(basin_context_options) */
    uint32_t reserved;    /**< 0 */
    /** A private directory for everything (etc, var and run below it). NULL: the system's places
     * for root, the XDG directories for others. */
    const char* root;
    const char*
        config_dir;        /**< NAME.xml and autostart/ as libvirt has them; instead of the above */
    const char* state_dir; /**< journal of unfinished changes; instead of the above */
    const char* run_dir;   /**< records, locks, events of one config_dir; emptied by reboots */
    const char* system_root; /**< prefix of every read of /proc, /sys, /dev and /etc */
    basin_log_callback log;
    basin_secret_callback secrets;
    /** A directory with a file for each secret, asked when `secrets` is not set or does not answer.
     * NULL: none. */
    const char* secret_directory;
    const char*
        helper_directory; /**< basin's own helper programs. NULL: where they are installed */
    /** Milliseconds that a function without a job waits for storage that does not answer; then it
     * returns BASIN_E_TIMED_OUT. 0: 30 seconds. A pool's info has an answer all the same,
     * and waits no longer than 5 seconds. */
    uint64_t look_timeout;
} basin_context_options;

/** Sets up basin_context_options: basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT; */
#define BASIN_CONTEXT_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(basin_context_options), 0, NULL, NULL, NULL, NULL, NULL, {NULL, NULL, NULL},        \
            {NULL, NULL, NULL}, NULL, NULL, 0                                                      \
    }

/** Flags of basin_context_new(). */
enum basin_context_flags {
    BASIN_CONTEXT_READ_ONLY = 1 << 0, /**< refuse every change with BASIN_E_PERMISSION_DENIED */
    /** Events also tell what other programs than basin do to the volumes of active pools whose type
     * has BASIN_CAPABILITY_WATCH, unless they are on a server or a file system in user space: the
     * descriptor of basin_context_get_event_fd() follows their directories (inotify(7): one watch
     * each), and basin_context_next_event() looks at what changed. What a program writes is told
     * when it closes the volume. */
    BASIN_CONTEXT_WATCH = 1 << 1,
    /** Opening leaves alone what killed processes left half-done; what changes such a pool or
     * volume brings it to its end all the same. See basin_context_list_recovery_plan(). */
    BASIN_CONTEXT_NO_RECOVERY = 1 << 2
};

/** Flags of basin_context_list_pools(). Bits of one pair are alternatives; a pair without a bit
 * does not filter. */
enum basin_list_flags {
    BASIN_LIST_INACTIVE = 1 << 0,
    BASIN_LIST_ACTIVE = 1 << 1,
    BASIN_LIST_PERSISTENT = 1 << 2,
    BASIN_LIST_TRANSIENT = 1 << 3,
    BASIN_LIST_AUTOSTART = 1 << 4,
    BASIN_LIST_NO_AUTOSTART = 1 << 5
};

/** What is done when the storage below a pool may hold data. */
enum basin_build_mode {
    BASIN_BUILD_NONE = 0,         /**< only where a pool is started: do not build */
    BASIN_BUILD_KEEP = 1,         /**< make what is missing, format over nothing */
    BASIN_BUILD_NO_OVERWRITE = 2, /**< format, but only if the source is empty */
    BASIN_BUILD_OVERWRITE = 3     /**< format, whatever is there */
};

/** What became of one pool in basin_context_autostart(). */
typedef struct basin_autostart_result {
    uint32_t struct_size;
    uint32_t started; /**< 0: was active before, or failed */
    const char* pool_name;
    const basin_error* error; /**< NULL unless it failed; freed with the list */
} basin_autostart_result;

/** What basin_context_recover() did about one change that a dead process left behind. */
typedef struct basin_recovery_result {
    uint32_t struct_size;
    uint32_t finished;     /**< 1: completed; 0: undone */
    const char* operation; /**< such as "pool-build vms"; "": its journal makes no sense */
    const char* message;
    uint32_t pending; /**< 1: neither yet; what it needs does not answer. Tried again next time */
    uint32_t reserved;
} basin_recovery_result;

/**
 * Opens the pools of one configuration directory, and finishes or undoes what a killed process
 * left half-done. Starts nothing; no directory has to exist beforehand.
 * @param options  copied; NULL for the defaults. The free_user_data of its callbacks run when the
 *                 context closes, or before this function returns if it fails (unless struct_size
 *                 is too small to reach them)
 * @param flags    0 or BASIN_CONTEXT_READ_ONLY, BASIN_CONTEXT_WATCH, BASIN_CONTEXT_NO_RECOVERY
 * @param context  freed with basin_context_free()
 * @return BASIN_OK, BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_new(const basin_context_options* options, uint32_t flags,
                                basin_context** context, basin_error** error);

/**
 * Frees a context; it closes once the pool and volume handles from it are freed too. Pools stay as
 * they are. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_context_free(basin_context* context);

/**
 * Returns the directory of the definitions.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_context_config_dir(const basin_context* context);

/**
 * Returns the directory of the journal of unfinished changes.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_context_state_dir(const basin_context* context);

/**
 * Returns the directory of run-time files.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_context_run_dir(const basin_context* context);

/**
 * Stores a persistent definition, or replaces the one with the same name and uuid; an active pool
 * goes on with its old one until it stops.
 * @param flags  0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON. What a lenient reading
 *               ignored is told to the log callback
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML, BASIN_E_ALREADY_EXISTS (name, uuid or source is that of
 *         another pool), BASIN_E_NOT_SUPPORTED, BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_define_pool(basin_context* context, const char* definition,
                                        uint32_t flags, basin_job* job, basin_pool** pool,
                                        basin_error** error);

/**
 * Starts a pool without storing its definition: it is gone when it stops.
 * @param build  BASIN_BUILD_...
 * @param flags  0 or BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK, the codes of basin_context_define_pool(), basin_pool_build() and
 *         basin_pool_start()
 * @note Blocks until the pool runs. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_create_pool(basin_context* context, const char* definition,
                                        uint32_t build, uint32_t flags, basin_job* job,
                                        basin_pool** pool, basin_error** error);

/**
 * Lists the pools, at one moment.
 * @param types       names of pool types to list, or NULL for all
 * @param type_count  how many; 0 for all
 * @param flags       BASIN_LIST_..., combined; 0 for all
 * @param pools       freed with basin_pool_list_free()
 * @return BASIN_OK, BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_list_pools(basin_context* context, const char* const* types,
                                       size_t type_count, uint32_t flags, basin_pool*** pools,
                                       size_t* count, basin_error** error);

/**
 * Finds a pool by name.
 * @param flags  0
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_pool(basin_context* context, const char* name, uint32_t flags,
                                      basin_pool** pool, basin_error** error);

/**
 * Finds a pool by uuid.
 * @param flags  0
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_pool_by_uuid(basin_context* context, const char* uuid,
                                              uint32_t flags, basin_pool** pool,
                                              basin_error** error);

/**
 * Finds the active pool whose target is this path, however the path is spelt.
 * @param flags  0
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_pool_by_target_path(basin_context* context, const char* path,
                                                     uint32_t flags, basin_pool** pool,
                                                     basin_error** error);

/**
 * Finds a volume of an active pool by key. A pool whose storage fails is passed over, and the log
 * told.
 * @param flags   0
 * @param volume  freed with basin_volume_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_volume_by_key(basin_context* context, const char* key,
                                               uint32_t flags, basin_volume** volume,
                                               basin_error** error);

/**
 * Finds a volume of an active pool by path, however the path is spelt. A pool whose storage fails
 * is passed over, and the log told.
 * @param flags   0
 * @param volume  freed with basin_volume_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_volume_by_path(basin_context* context, const char* path,
                                                uint32_t flags, basin_volume** volume,
                                                basin_error** error);

/**
 * Looks for sources that a pool of this type could be made of.
 * @param source  a <source> element that says where to look, or NULL
 * @param flags   0
 * @param xml     <sources> with one <source> for each; freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_FIND_SOURCES),
 *         BASIN_E_INVALID_XML, BASIN_E_UNAVAILABLE, BASIN_E_CONNECTION, BASIN_E_COMMAND_FAILED,
 *         BASIN_E_PARSE_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks while tools or servers answer. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_find_pool_sources(basin_context* context, const char* type,
                                              const char* source, uint32_t flags, basin_job* job,
                                              char** xml, basin_error** error);

/**
 * Starts each pool that is marked so, independently of the others, and tells what became of each.
 * @param flags    0
 * @param results  freed with basin_autostart_result_list_free()
 * @return BASIN_OK also when single pools failed; BASIN_E_PERMISSION_DENIED, BASIN_E_IO,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until all are done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_autostart(basin_context* context, uint32_t flags, basin_job* job,
                                      basin_autostart_result*** results, size_t* count,
                                      basin_error** error);

/**
 * Frees a list of autostart results. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_autostart_result_list_free(basin_autostart_result** list);

/**
 * Finishes or undoes what killed processes left half-done; basin_context_new() does it too. What
 * needs storage that does not answer within half a minute is pending.
 * @param flags    0
 * @param results  freed with basin_recovery_result_list_free()
 * @return BASIN_OK, BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_recover(basin_context* context, uint32_t flags,
                                    basin_recovery_result*** results, size_t* count,
                                    basin_error** error);

/**
 * Lists what basin_context_recover() would finish, undo or forget, and does nothing of it. In a
 * context of BASIN_CONTEXT_NO_RECOVERY that is all that killed processes left; others do most of it
 * when they open.
 * @param flags  0
 * @param steps  with the summary alone; freed with basin_step_list_free()
 * @return BASIN_OK, BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_list_recovery_plan(basin_context* context, uint32_t flags,
                                               basin_step*** steps, size_t* count,
                                               basin_error** error);

/**
 * Frees a list of recovery results. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_recovery_result_list_free(basin_recovery_result** list);

/**
 * Gives the descriptor that polls readable when basin_context_next_event() may have something.
 * Events are kept from this call on.
 * @param flags  0
 * @param fd     belongs to the context: to be polled, not read, not closed
 * @return BASIN_OK or BASIN_E_IO
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_event_fd(basin_context* context, uint32_t flags, int* fd,
                                     basin_error** error);

/**
 * Takes the next event; also picks up what other processes did.
 * @param flags  0
 * @param event  NULL if there is none now; freed with basin_event_free()
 * @return BASIN_OK or BASIN_E_IO
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_context_next_event(basin_context* context, uint32_t flags, basin_event** event,
                                       basin_error** error);

/* ---- pools ----------------------------------------------------------------------------------- */

/** A pool's state; the numbers are libvirt's. */
enum basin_pool_state {
    BASIN_POOL_INACTIVE = 0,
    BASIN_POOL_BUILDING = 1,
    BASIN_POOL_RUNNING = 2,
    BASIN_POOL_DEGRADED = 3,    /**< works, but a part is missing */
    BASIN_POOL_INACCESSIBLE = 4 /**< started, but the system does not show it now */
};

/** A pool's numbers and state at one moment. */
typedef struct basin_pool_info {
    uint32_t struct_size;
    uint32_t state; /**< BASIN_POOL_... */
    uint64_t capacity;
    uint64_t allocation;
    uint64_t available; /**< what this user may still write */
    uint32_t persistent;
    uint32_t autostart;
    const char* reason;  /**< why it is degraded or inaccessible */
    const char* details; /**< more facts of its type, as a JSON object of texts; or NULL */
} basin_pool_info;

/** Why an entry of a pool is not, or not fully, a volume. New reasons are appended. */
enum basin_diagnostic_reason {
    BASIN_DIAGNOSTIC_UNREADABLE = 0,    /**< permission denied */
    BASIN_DIAGNOSTIC_VANISHED = 1,      /**< was listed, then gone */
    BASIN_DIAGNOSTIC_DANGLING_LINK = 2, /**< a symbolic link to nothing */
    BASIN_DIAGNOSTIC_LINK_LOOP = 3,     /**< a symbolic link that leads back to itself */
    BASIN_DIAGNOSTIC_FIFO = 4,
    BASIN_DIAGNOSTIC_SOCKET = 5,
    BASIN_DIAGNOSTIC_CHARACTER_DEVICE = 6,
    BASIN_DIAGNOSTIC_UNUSABLE_NAME = 7, /**< control characters or invalid UTF-8 */
    BASIN_DIAGNOSTIC_READ_ERROR = 8,    /**< the system failed to read it */
    BASIN_DIAGNOSTIC_DAMAGED_IMAGE = 9, /**< the header is malformed, truncated, marked corrupt */
    BASIN_DIAGNOSTIC_DUPLICATE = 10,    /**< name, key or path is that of another volume */
    BASIN_DIAGNOSTIC_INACTIVE = 11,     /**< exists, but cannot be used now */
    BASIN_DIAGNOSTIC_INCOMPLETE = 12    /**< a part of it is missing or has failed */
};

/** A remark of the last refresh about one entry. */
typedef struct basin_diagnostic {
    uint32_t struct_size;
    uint32_t reason;  /**< BASIN_DIAGNOSTIC_... */
    const char* name; /**< the entry; bytes that cannot be shown are escaped as \xNN */
    const char* message;
} basin_diagnostic;

/** What can stand in the way of a destructive operation: one bit for each kind. */
enum basin_blocker_kind {
    BASIN_BLOCKER_OPEN = 1 << 0,          /**< a process has it open */
    BASIN_BLOCKER_BACKING_IMAGE = 1 << 1, /**< another volume is based on it or has data in it */
    BASIN_BLOCKER_LOOP_DEVICE = 1 << 2,   /**< a loop device shows it */
    BASIN_BLOCKER_MOUNTED = 1 << 3,       /**< it, or a loop device on it, is mounted */
    BASIN_BLOCKER_JOB = 1 << 4,           /**< another call changes it: wait for that */
    BASIN_BLOCKER_SNAPSHOT = 1 << 5,      /**< it has snapshots that would be lost */
    BASIN_BLOCKER_HOLDER = 1 << 6,        /**< another kernel device is built on it */
    BASIN_BLOCKER_VOLUME = 1 << 7 /**< of a pool or thin pool: it has volumes that would be lost */
};

/**
 * Flags of basin_volume_delete(), _resize(), _rename(), _wipe(), _upload() and _upload_from(), and
 * the last one of basin_pool_delete(): each is a kind of blocker, shifted by 16, that shall not
 * stop the call. Without them the call refuses with BASIN_E_BUSY and has the blockers in
 * basin_error_detail(). A job cannot be allowed: see basin_job_set_wait().
 */
enum basin_allow_flags {
    BASIN_ALLOW_OPEN = 1 << 16,
    BASIN_ALLOW_BACKING_IMAGE = 1 << 17,
    BASIN_ALLOW_LOOP_DEVICE = 1 << 18,
    BASIN_ALLOW_MOUNTED = 1 << 19,
    BASIN_ALLOW_SNAPSHOT = 1 << 21,
    BASIN_ALLOW_HOLDER = 1 << 22,
    BASIN_ALLOW_VOLUME = 1 << 23
};

/** Something that stands in the way of a destructive operation. */
typedef struct basin_blocker {
    uint32_t struct_size;
    uint32_t kind_bit;   /**< BASIN_BLOCKER_... */
    int64_t pid;         /**< 0 where no process is meant, or none that may be seen */
    const char* kind;    /**< open, backing_image, loop_device, mounted, job, snapshot, holder,
                              volume */
    const char* message; /**< who and what, in words */
} basin_blocker;

/** One line of a volume listing. */
typedef struct basin_volume_entry {
    uint32_t struct_size;
    uint32_t reserved; /**< 0 */
    const char* name;
    const char* key;
    const char* path;
} basin_volume_entry;

/** Flags of basin_pool_get_xml() and basin_pool_get_json(). */
enum basin_pool_definition_flags {
    BASIN_POOL_NEXT = 1 << 0 /**< the definition for the next start, where one is pending */
};

/** Flags of basin_pool_create_volume() (PREALLOC) and basin_pool_create_volume_from() (all). */
enum basin_volume_create_flags {
    /** qcow2: its tables; with an allocation of the capacity or more, as libvirt, its blocks too */
    BASIN_VOLUME_CREATE_PREALLOC_METADATA = 1 << 0,
    BASIN_VOLUME_CREATE_REFLINK = 1 << 1,         /**< share the source's blocks or fail */
    BASIN_VOLUME_CREATE_PREALLOC_FALLOC = 1 << 2, /**< qcow2: tables and blocks, not written */
    BASIN_VOLUME_CREATE_PREALLOC_FULL = 1 << 3,   /**< qcow2: tables and blocks, zeros written */
    /** qcow2: an image based on the source, which must not change any more */
    BASIN_VOLUME_CREATE_LINKED = 1 << 4,
    BASIN_VOLUME_CREATE_DIGEST = 1 << 5 /**< tell the content's SHA-256 as the job's "sha256" */
};

/**
 * Gives an upload its bytes, on the thread of the call: writes at most `size` of them to `buffer`
 * and returns how many. Or it returns 0 and sets `*hole`, which is 0 before, to a number of zero
 * bytes. 0 and no hole is the end. A negative BASIN_E_ code ends the call with that code.
 */
typedef struct basin_read_callback {
    int64_t (*fn)(void* user_data, void* buffer, size_t size, uint64_t* hole);
    void* user_data;
    void (*free_user_data)(void* user_data);
} basin_read_callback;

/**
 * Takes a download's bytes, on the thread of the call: `size` of them at `data`; or, with
 * BASIN_TRANSFER_SPARSE, `hole` zero bytes and no data. It takes all of them and returns BASIN_OK;
 * a negative BASIN_E_ code ends the call with that code.
 */
typedef struct basin_write_callback {
    int (*fn)(void* user_data, const void* data, size_t size, uint64_t hole);
    void* user_data;
    void (*free_user_data)(void* user_data);
} basin_write_callback;

/** Where bytes come from or go to, which part of a volume, and what is checked on the way. Set up
 * with BASIN_TRANSFER_INIT. */
typedef struct basin_transfer {
    uint32_t struct_size; /**< sizeof(basin_transfer) */
    /** Read to its end, or written, from where it stands; may be a pipe or stream socket; not
     * closed. A file that is read stands there again if the call fails, or behind what is kept of a
     * resumable one; there again in any case where the call ended because the pool's storage does
     * not answer. -1: the callback instead. */
    int32_t fd;
    basin_read_callback read;     /**< for an upload */
    basin_write_callback write;   /**< for a download */
    uint64_t offset;              /**< in the volume */
    uint64_t length;              /**< 0: to the end of the volume or of the source */
    uint64_t expected_length;     /**< bytes that must come, holes included; others are an error */
    uint32_t has_expected_length; /**< 0: expected_length is not looked at */
    uint32_t reserved;            /**< 0 */
    const char* expected_sha256;  /**< of these bytes, 64 hexadecimal digits; NULL: not checked */
} basin_transfer;

/** Sets up basin_transfer: basin_transfer transfer = BASIN_TRANSFER_INIT; */
#define BASIN_TRANSFER_INIT                                                                        \
    {                                                                                              \
        sizeof(basin_transfer), -1, {NULL, NULL, NULL}, {NULL, NULL, NULL}, 0, 0, 0, 0, 0, NULL    \
    }

/** Flags of functions that carry content in or out. */
enum basin_transfer_flags {
    /** Holes stay holes: those of a file and of the callback, and blocks of zeros. */
    BASIN_TRANSFER_SPARSE = 1 << 0,
    BASIN_TRANSFER_DIGEST = 1 << 1, /**< tell the SHA-256 as the job's "sha256" */
    /** basin_pool_upload_volume(): keep what arrived when the source ends early or the call is
     * cancelled; the next call goes on where basin_pool_get_partial_upload() says. */
    BASIN_TRANSFER_RESUMABLE = 1 << 2
};

/**
 * Returns the name of a state, such as "running"; "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_pool_state_name(uint32_t state);

/**
 * Returns the name of a reason, such as "dangling_link"; "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_diagnostic_reason_name(uint32_t reason);

/**
 * Makes a second handle to the same pool.
 * @param flags  0
 * @param copy   freed with basin_pool_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_copy(const basin_pool* pool, uint32_t flags, basin_pool** copy,
                              basin_error** error);

/**
 * Frees a handle; the pool stays as it is. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_pool_free(basin_pool* pool);

/**
 * Frees a list of pools with its handles. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_pool_list_free(basin_pool** list);

/**
 * Returns 1 if both handles mean the same pool object, else 0.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_equal(const basin_pool* a, const basin_pool* b);

/**
 * Returns the pool's name.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_pool_name(const basin_pool* pool);

/**
 * Returns the pool's uuid: 36 characters, lower case.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_pool_uuid(const basin_pool* pool);

/**
 * Returns the pool's type, such as "dir".
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_pool_type(const basin_pool* pool);

/**
 * Gives the pool's XML as libvirt prints it, with the current numbers.
 * @param flags  0 or BASIN_POOL_NEXT
 * @param xml    freed with basin_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_xml(basin_pool* pool, uint32_t flags, char** xml, basin_error** error);

/**
 * Gives the pool's definition as a JSON object, which BASIN_DEFINITION_JSON reads.
 * @param flags  0 or BASIN_POOL_NEXT
 * @param json   freed with basin_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_json(basin_pool* pool, uint32_t flags, char** json,
                                  basin_error** error);

/**
 * Gives state and numbers, fresh from the system. Storage that fails, or has not answered after 5
 * seconds, is no error here: the state is BASIN_POOL_INACCESSIBLE, and the reason says why.
 * @param flags  0
 * @param info   freed with basin_pool_info_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_info(basin_pool* pool, uint32_t flags, basin_pool_info** info,
                                  basin_error** error);

/**
 * Gives basin_pool_get_info() as a JSON object.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_info_json(basin_pool* pool, uint32_t flags, char** json,
                                       basin_error** error);

/**
 * Frees a pool's information. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_pool_info_free(basin_pool_info* info);

/**
 * Tells whether the pool is active: started, and not stopped since. One that is inaccessible is
 * (see basin_pool_get_info()).
 * @param flags   0
 * @param active  1 or 0
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_is_active(basin_pool* pool, uint32_t flags, int* active,
                                   basin_error** error);

/**
 * Tells whether the pool's definition is stored.
 * @param flags       0
 * @param persistent  1 or 0
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_is_persistent(basin_pool* pool, uint32_t flags, int* persistent,
                                       basin_error** error);

/**
 * Tells whether basin_context_autostart() starts the pool.
 * @param flags      0
 * @param autostart  1 or 0
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_autostart(basin_pool* pool, uint32_t flags, int* autostart,
                                       basin_error** error);

/**
 * Makes basin_context_autostart() start the pool, or no longer.
 * @param autostart  not 0: start it
 * @param flags      0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (transient pool), BASIN_E_PERMISSION_DENIED or
 *         BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_set_autostart(basin_pool* pool, int autostart, uint32_t flags,
                                       basin_job* job, basin_error** error);

/**
 * Makes the storage below an inactive pool: for a dir pool the directory with its parents, mode,
 * owner, group and label. All of it appears at once or not at all.
 * @param mode   BASIN_BUILD_..., but not BASIN_BUILD_NONE
 * @param flags  0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (active), BASIN_E_NOT_SUPPORTED (see
 *         BASIN_CAPABILITY_BUILD_POOL), BASIN_E_ALREADY_EXISTS (the source holds data),
 *         BASIN_E_PERMISSION_DENIED, BASIN_E_NO_SPACE, BASIN_E_IO, BASIN_E_BUSY,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_build(basin_pool* pool, uint32_t mode, uint32_t flags, basin_job* job,
                               basin_error** error);

/**
 * Makes the pool active, anew where it is inaccessible. Its volumes are read when somebody first
 * asks for them.
 * @param build  BASIN_BUILD_...
 * @param flags  0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (already active), BASIN_E_NOT_FOUND (the source is not
 *         there), BASIN_E_NOT_SUPPORTED, BASIN_E_UNAVAILABLE, BASIN_E_PERMISSION_DENIED,
 *         BASIN_E_IO, BASIN_E_CONNECTION, BASIN_E_COMMAND_FAILED, BASIN_E_BUSY,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until the pool runs. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_start(basin_pool* pool, uint32_t build, uint32_t flags, basin_job* job,
                               basin_error** error);

/**
 * Undoes what start did, and no more. Data stays. A transient pool is gone afterwards.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (not active), BASIN_E_BUSY (in use, or another context
 *         holds it: basin_pool_hold()), BASIN_E_PERMISSION_DENIED,
 *         BASIN_E_IO, BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_stop(basin_pool* pool, uint32_t flags, basin_job* job,
                              basin_error** error);

/**
 * Keeps the pool active for this context: starts it, unless it is active, and from now on
 * basin_pool_stop() is refused to all others. Any number of contexts, in any processes, may hold
 * one pool. A hold ends with basin_pool_release(), with the context, or with the process, however
 * that ends.
 * @param build  BASIN_BUILD_..., for a pool that has to be started
 * @param flags  0
 * @return BASIN_OK or the codes of basin_pool_start(), but for that of an active pool
 * @note Blocks until the pool runs. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_hold(basin_pool* pool, uint32_t build, uint32_t flags, basin_job* job,
                              basin_error** error);

/**
 * Ends this context's basin_pool_hold(). The last one out stops the pool, if it was started by a
 * hold; one that basin_pool_start() made active stays so.
 * @param flags    0
 * @param stopped  1: it was stopped; 0: it goes on. May be NULL
 * @return BASIN_OK, BASIN_E_INVALID_STATE (this context does not hold it) or the codes of
 *         basin_pool_stop(): it is held still
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_release(basin_pool* pool, uint32_t flags, basin_job* job, int* stopped,
                                 basin_error** error);

/**
 * Forgets the stored definition of an inactive pool. Data stays.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (active), BASIN_E_BUSY, BASIN_E_PERMISSION_DENIED or
 *         BASIN_E_IO
 * @note Blocks on the disk. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_undefine(basin_pool* pool, uint32_t flags, basin_job* job,
                                  basin_error** error);

/**
 * Deletes the storage below an inactive pool: for a dir pool the empty directory, for a logical one
 * the volume group.
 * @param flags  0 or BASIN_ALLOW_VOLUME: with its volumes, where the type can do that
 * @return BASIN_OK, BASIN_E_INVALID_STATE (active), BASIN_E_NOT_SUPPORTED (see
 *         BASIN_CAPABILITY_DELETE_POOL), BASIN_E_BUSY (not empty, or in use;
 *         volumes in the detail), BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_CANCELLED or
 * BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_delete(basin_pool* pool, uint32_t flags, basin_job* job,
                                basin_error** error);

/**
 * Gives a text that identifies the storage that basin_pool_build() could write over and
 * basin_pool_delete() would delete, whether the pool is active or not: of a directory device, inode
 * and birth time, of a disk or device its numbers and what is on it, of a volume group its UUID.
 * @param flags     0
 * @param identity  freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND (it is not there), BASIN_E_NOT_SUPPORTED (a type that has
 *         neither call), BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_identity(basin_pool* pool, uint32_t flags, char** identity,
                                      basin_error** error);

/**
 * Makes this handle mean the pool while its storage has that identity, whatever has its path or is
 * written in its definition by then: basin_pool_build(), basin_pool_start() and basin_pool_hold()
 * with a build, basin_pool_delete() and basin_pool_discard_upload() through it then look first,
 * with the pool locked, and answer BASIN_E_NOT_FOUND if it is another one. With what
 * basin_pool_get_upload_identity() gave it means that upload: basin_pool_discard_upload(), and
 * basin_pool_upload_volume() where it is resumable, look first. Does not look now.
 * @param identity  what basin_pool_get_identity() or basin_pool_get_upload_identity() gave; kept as
 *                  a copy
 * @param flags     0
 * @return BASIN_OK or BASIN_E_INVALID_ARGUMENT (empty)
 * @note Does not block. Not while another thread uses this handle.
 * @since 0.1
 */
BASIN_API int basin_pool_expect(basin_pool* pool, const char* identity, uint32_t flags,
                                basin_error** error);

/**
 * Reads the volumes of an active pool again. If that fails, pool and list stay as they are;
 * others go on reading the old list meanwhile.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_INVALID_STATE (not active), BASIN_E_PERMISSION_DENIED, BASIN_E_IO,
 *         BASIN_E_CONNECTION, BASIN_E_COMMAND_FAILED, BASIN_E_PARSE_FAILED, BASIN_E_CANCELLED or
 *         BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_refresh(basin_pool* pool, uint32_t flags, basin_job* job,
                                 basin_error** error);

/**
 * Lists handles to the volumes of the last refresh and those that basin made since, by name.
 * @param flags    0
 * @param volumes  freed with basin_volume_list_free()
 * @return BASIN_OK or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_list_volumes(basin_pool* pool, uint32_t flags, basin_volume*** volumes,
                                      size_t* count, basin_error** error);

/**
 * Lists names, keys and paths of the volumes, by name: the cheapest way to list.
 * @param flags    0
 * @param entries  freed with basin_volume_entry_list_free()
 * @return BASIN_OK or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_list_volume_entries(basin_pool* pool, uint32_t flags,
                                             basin_volume_entry*** entries, size_t* count,
                                             basin_error** error);

/**
 * Frees a listing. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_volume_entry_list_free(basin_volume_entry** list);

/**
 * Lists the names as the storage has them now, and opens no volume.
 * @param flags  0
 * @param names  freed with basin_string_list_free()
 * @return BASIN_OK, BASIN_E_INVALID_STATE (not active), BASIN_E_NOT_SUPPORTED (see
 *         BASIN_CAPABILITY_NAMES_ONLY), BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_list_volume_names(basin_pool* pool, uint32_t flags, char*** names,
                                           size_t* count, basin_error** error);

/**
 * Counts the volumes that basin_pool_list_volumes() would list.
 * @param flags  0
 * @return BASIN_OK or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_count_volumes(basin_pool* pool, uint32_t flags, uint64_t* count,
                                       basin_error** error);

/**
 * Lists the remarks of the last refresh.
 * @param flags        0
 * @param diagnostics  freed with basin_diagnostic_list_free()
 * @return BASIN_OK or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_list_diagnostics(basin_pool* pool, uint32_t flags,
                                          basin_diagnostic*** diagnostics, size_t* count,
                                          basin_error** error);

/**
 * Gives basin_pool_list_diagnostics() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_diagnostics_json(basin_pool* pool, uint32_t flags, char** json,
                                              basin_error** error);

/**
 * Frees a list of diagnostics. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_diagnostic_list_free(basin_diagnostic** list);

/**
 * Finds a volume of an active pool by name.
 * @param flags   0
 * @param volume  freed with basin_volume_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND or BASIN_E_INVALID_STATE (not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_find_volume(basin_pool* pool, const char* name, uint32_t flags,
                                     basin_volume** volume, basin_error** error);

/**
 * Creates a volume. It appears whole under its name or not at all, also if the process dies. An
 * encrypted one needs its secret from the context's secret callback.
 * @param flags   0 or one of BASIN_VOLUME_CREATE_PREALLOC_..., BASIN_DEFINITION_STRICT,
 *                BASIN_DEFINITION_JSON
 * @param volume  freed with basin_volume_free()
 * @return BASIN_OK, BASIN_E_INVALID_XML, BASIN_E_INVALID_STATE (not active),
 *         BASIN_E_ALREADY_EXISTS, BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_CREATE_VOLUME, and
 *         the format), BASIN_E_NO_SPACE, BASIN_E_PERMISSION_DENIED, BASIN_E_IO,
 *         BASIN_E_COMMAND_FAILED, BASIN_E_BUSY, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until the storage exists. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_create_volume(basin_pool* pool, const char* definition, uint32_t flags,
                                       basin_job* job, basin_volume** volume, basin_error** error);

/**
 * Creates a volume with the content of another, which may be in another pool of the same context,
 * the cheapest way that gives the same bytes; the job's "method" and "reason" tell which and why
 * (basin_job_get_fact()). The source may be read meanwhile, not changed. The definition says how
 * the new volume is encrypted: not at all; with a secret, anew; without a secret, as the source is,
 * with its key and without asking for it. It also says what the new volume is based on: nothing,
 * and the copy has all content in itself; or the source's own backing image and format, and the
 * copy is based on it as well, by an absolute path where a relative one would lead elsewhere.
 * @param definition  capacity: at least the source's; may be left out
 * @param source      the volume to copy
 * @param flags       0 or BASIN_VOLUME_CREATE_..., BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param volume      freed with basin_volume_free()
 * @return the codes of basin_pool_create_volume() (see BASIN_CAPABILITY_CREATE_FROM);
 *         BASIN_E_NOT_SUPPORTED: REFLINK or LINKED where it cannot be, or another backing image
 *         than the source's; BASIN_E_INVALID_STATE: the source changed its size meanwhile
 *         or is a damaged image
 * @note Blocks until the copy is complete. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_create_volume_from(basin_pool* pool, const char* definition,
                                            basin_volume* source, uint32_t flags, basin_job* job,
                                            basin_volume** volume, basin_error** error);

/**
 * Creates a volume from content that comes as an image of the definition's format and is stored as
 * it comes. The volume appears when all of it has arrived and was checked, and not before; with
 * BASIN_TRANSFER_RESUMABLE what arrived is kept, invisibly, for the next call of this name.
 * @param definition  capacity: at least what comes (raw: the rest is zeros); left out or 0: as much
 *                    as comes
 * @param source      fd or read. offset: where the source goes on, as
 *                    basin_pool_get_partial_upload() says; length: how many bytes to take. Its
 *                    free_user_data runs before this function returns (unless struct_size is too
 *                    small to reach it)
 * @param flags       0 or BASIN_TRANSFER_..., BASIN_DEFINITION_STRICT, BASIN_DEFINITION_JSON
 * @param volume      freed with basin_volume_free()
 * @return the codes of basin_pool_create_volume() (see BASIN_CAPABILITY_UPLOAD); BASIN_E_IO: the
 *         source ended early, gave more or other bytes than expected; BASIN_E_INVALID_ARGUMENT: no
 *         image of that format, or of another capacity; what the callback returned
 * @note Blocks until all has arrived. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_upload_volume(basin_pool* pool, const char* definition,
                                       const basin_transfer* source, uint32_t flags, basin_job* job,
                                       basin_volume** volume, basin_error** error);

/**
 * Tells how much an unfinished resumable upload has.
 * @param name   of the volume that it was to become
 * @param flags  0
 * @param found  1, or 0: there is no such upload
 * @param bytes  how many have arrived
 * @return BASIN_OK, BASIN_E_INVALID_STATE (not active), BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_partial_upload(basin_pool* pool, const char* name, uint32_t flags,
                                            int* found, uint64_t* bytes, basin_error** error);

/**
 * Gives a text that tells an unfinished resumable upload from a later one of the same name, for
 * basin_pool_expect().
 * @param name      of the volume that it was to become
 * @param flags     0
 * @param identity  freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND (no such upload), BASIN_E_INVALID_STATE (not active),
 *         BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_upload_identity(basin_pool* pool, const char* name, uint32_t flags,
                                             char** identity, basin_error** error);

/**
 * Forgets an unfinished resumable upload, and what arrived of it.
 * @param name   of the volume that it was to become
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND (no such upload; see basin_pool_expect()),
 *         BASIN_E_INVALID_STATE (not active), BASIN_E_NOT_SUPPORTED (see
 *         BASIN_CAPABILITY_UPLOAD), BASIN_E_BUSY (one goes on now), BASIN_E_PERMISSION_DENIED,
 *         BASIN_E_IO, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_discard_upload(basin_pool* pool, const char* name, uint32_t flags,
                                        basin_job* job, basin_error** error);

/**
 * Lists what would stop basin_pool_stop() or basin_pool_delete() now.
 * @param flags     0
 * @param blockers  freed with basin_blocker_list_free()
 * @return BASIN_OK or BASIN_E_NOT_SUPPORTED: this pool type cannot tell
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_list_blockers(basin_pool* pool, uint32_t flags, basin_blocker*** blockers,
                                       size_t* count, basin_error** error);

/**
 * Gives basin_pool_list_blockers() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK or BASIN_E_NOT_SUPPORTED: this pool type cannot tell
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_pool_get_blockers_json(basin_pool* pool, uint32_t flags, char** json,
                                           basin_error** error);

/**
 * Frees a list of blockers. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_blocker_list_free(basin_blocker** list);

/* ---- volumes --------------------------------------------------------------------------------- */

/** A volume's numbers at one moment. */
typedef struct basin_volume_info {
    uint32_t struct_size;
    uint32_t type;       /**< BASIN_VOLUME_... */
    uint64_t capacity;   /**< what a guest sees */
    uint64_t allocation; /**< what it occupies */
    uint64_t physical;   /**< the container's length */
} basin_volume_info;

/** A saved state inside a volume. */
typedef struct basin_snapshot {
    uint32_t struct_size;
    uint32_t nanoseconds; /**< of its creation */
    int64_t seconds;      /**< since 1970 */
    uint64_t size;
    const char* name;
    const char* id;
    uint32_t is_protected; /**< 1: cannot be deleted until that is taken back */
    uint32_t reserved;
} basin_snapshot;

/** A key and a value that an application keeps with a volume. */
typedef struct basin_metadata {
    uint32_t struct_size;
    uint32_t reserved; /**< 0 */
    const char* key;
    const char* value;
} basin_metadata;

/** Flags of basin_volume_resize(). */
enum basin_resize_flags {
    BASIN_RESIZE_ALLOCATE = 1 << 0,
    BASIN_RESIZE_DELTA = 1 << 1, /**< the number is a difference */
    BASIN_RESIZE_SHRINK = 1 << 2
};

/** How basin_volume_wipe() overwrites; the numbers are libvirt's. */
enum basin_wipe_algorithm {
    BASIN_WIPE_ZERO = 0,
    BASIN_WIPE_NNSA = 1,
    BASIN_WIPE_DOD = 2,
    BASIN_WIPE_BSI = 3,
    BASIN_WIPE_GUTMANN = 4,
    BASIN_WIPE_SCHNEIER = 5,
    BASIN_WIPE_PFITZNER7 = 6,
    BASIN_WIPE_PFITZNER33 = 7,
    BASIN_WIPE_RANDOM = 8,
    BASIN_WIPE_TRIM = 9
};

/** Flags of basin_volume_get_xml() and basin_volume_get_json(). */
enum basin_volume_definition_flags {
    BASIN_VOLUME_CHAIN = 1 << 0 /**< all that it is based on, not only the direct backing image */
};

/** What is known of one image of a backing chain. */
enum basin_chain_state {
    BASIN_CHAIN_OK = 0,         /**< a volume of an active pool; its header was read */
    BASIN_CHAIN_MISSING = 1,    /**< a local path where nothing is */
    BASIN_CHAIN_OUTSIDE = 2,    /**< a local path that no active pool has: it is not opened */
    BASIN_CHAIN_NETWORK = 3,    /**< not certainly one local file: a URL, json: with more; or an
                                     object of a cluster that no active pool has */
    BASIN_CHAIN_UNREADABLE = 4, /**< a volume that cannot be read */
    BASIN_CHAIN_CYCLE = 5,      /**< an image that comes before it in the chain */
    BASIN_CHAIN_TOO_DEEP = 6    /**< more than 256 images */
};

/** One image of a backing chain: the volume itself, then what it is based on, up to the root. */
typedef struct basin_chain_link {
    uint32_t struct_size;
    uint32_t state;           /**< BASIN_CHAIN_... */
    uint32_t format_declared; /**< 0: the image above names no format, so a guest could forge it */
    uint32_t reserved;        /**< 0 */
    const char* reference;    /**< as the image above has it; of the first: its path */
    const char* path;         /**< absolute; "" where it is no local file or device */
    const char* format;       /**< as declared; else as found, "raw" where it was not opened */
    const char* pool_name;    /**< the pool and volume that it is, or "" */
    const char* volume_name;
} basin_chain_link;

/**
 * Makes a second handle to the same volume.
 * @param flags  0
 * @param copy   freed with basin_volume_free()
 * @return BASIN_OK or the codes common to all
 * @note Does not block. Thread-safe, but not while basin_volume_rename() uses the handle.
 * @since 0.1
 */
BASIN_API int basin_volume_copy(const basin_volume* volume, uint32_t flags, basin_volume** copy,
                                basin_error** error);

/**
 * Frees a handle; the volume stays as it is. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_volume_free(basin_volume* volume);

/**
 * Frees a list of volumes with its handles. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_volume_list_free(basin_volume** list);

/**
 * Returns the volume's name; valid until the handle is freed or renamed.
 * @note Does not block. Thread-safe, but not while basin_volume_rename() uses the handle.
 * @since 0.1
 */
BASIN_API const char* basin_volume_name(const basin_volume* volume);

/**
 * Gives the volume's key: unique on this host; what it is depends on the pool type.
 * @param flags  0
 * @param key    freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND or BASIN_E_INVALID_STATE (pool not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_key(basin_volume* volume, uint32_t flags, char** key,
                                   basin_error** error);

/**
 * Gives the volume's path, or what a network volume has instead.
 * @param flags  0
 * @param path   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND or BASIN_E_INVALID_STATE (pool not active)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_path(basin_volume* volume, uint32_t flags, char** path,
                                    basin_error** error);

/**
 * Gives the pool that the volume belongs to.
 * @param flags  0
 * @param pool   freed with basin_pool_free()
 * @return BASIN_OK or BASIN_E_NOT_FOUND
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_pool(basin_volume* volume, uint32_t flags, basin_pool** pool,
                                    basin_error** error);

/**
 * Gives a text that identifies this very object (device, inode and birth time; LV UUID ...), so
 * that another one that takes its name can be told from it.
 * @param flags     0
 * @param identity  freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_identity(basin_volume* volume, uint32_t flags, char** identity,
                                        basin_error** error);

/**
 * Makes this handle mean the object of that identity and no other one of its name: each call
 * through it that changes, overwrites or deletes then looks first, with the volume locked, and
 * answers BASIN_E_NOT_FOUND if another one has taken the name since. Does not look now.
 * @param identity  what basin_volume_get_identity() gave; kept as a copy
 * @param flags     0
 * @return BASIN_OK or BASIN_E_INVALID_ARGUMENT (empty)
 * @note Does not block. Not while another thread uses this handle.
 * @since 0.1
 */
BASIN_API int basin_volume_expect(basin_volume* volume, const char* identity, uint32_t flags,
                                  basin_error** error);

/**
 * Gives the volume's XML as libvirt prints it, fresh from the system.
 * @param flags  0 or BASIN_VOLUME_CHAIN
 * @param xml    freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_xml(basin_volume* volume, uint32_t flags, char** xml,
                                   basin_error** error);

/**
 * Gives the volume's description as a JSON object, which BASIN_DEFINITION_JSON reads.
 * @param flags  0 or BASIN_VOLUME_CHAIN
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_json(basin_volume* volume, uint32_t flags, char** json,
                                    basin_error** error);

/**
 * Gives the volume's numbers, fresh from the system.
 * @param flags  0
 * @param info   freed with basin_volume_info_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_info(basin_volume* volume, uint32_t flags, basin_volume_info** info,
                                    basin_error** error);

/**
 * Gives basin_volume_get_info() as a JSON object.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_info_json(basin_volume* volume, uint32_t flags, char** json,
                                         basin_error** error);

/**
 * Frees a volume's numbers. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_volume_info_free(basin_volume_info* info);

/**
 * Reads the volume's image header now and describes it as a JSON object, findings included.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_SUPPORTED (no image), BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE
 *         (pool not active), BASIN_E_PERMISSION_DENIED or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_inspect(basin_volume* volume, uint32_t flags, char** json,
                                   basin_error** error);

/**
 * Describes the image file behind a descriptor as a JSON object: reads its header and nothing
 * else. A damaged header is no error; it is described in the findings.
 * @param fd     a regular file or block device, open for reading; neither closed nor moved
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_IO, or BASIN_E_INVALID_ARGUMENT: neither file nor block device
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_image_inspect(int fd, uint32_t flags, char** json, basin_error** error);

/**
 * Reads this one volume again and updates the pool's list.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_refresh(basin_volume* volume, uint32_t flags, basin_job* job,
                                   basin_error** error);

/**
 * Deletes the volume's storage, not only the handle. A symbolic link is deleted as a link, also
 * while what it leads to is in use. Of a file, this does not wait for the disk: where the power
 * fails within seconds, it may be there again, whole.
 * @param flags  0 or BASIN_ALLOW_..., combined
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_DELETE_VOLUME), BASIN_E_BUSY (blockers in
 *         the detail), BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_COMMAND_FAILED,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is gone. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_delete(basin_volume* volume, uint32_t flags, basin_job* job,
                                  basin_error** error);

/**
 * Changes the capacity. What a smaller raw volume loses at its end is gone.
 * @param capacity  bytes, or with BASIN_RESIZE_DELTA the difference (with SHRINK: downwards)
 * @param flags     0 or BASIN_RESIZE_..., BASIN_ALLOW_..., combined
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active, image damaged, or
 *         with BASIN_RESIZE_ALLOCATE not closed cleanly),
 *         BASIN_E_INVALID_ARGUMENT (smaller without BASIN_RESIZE_SHRINK), BASIN_E_NOT_SUPPORTED
 *         (see BASIN_CAPABILITY_GROW_VOLUME and _SHRINK_VOLUME; or the image refers to what no
 *         active pool has), BASIN_E_BUSY (blockers in the detail), BASIN_E_NO_SPACE,
 *         BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or
 *         BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_resize(basin_volume* volume, uint64_t capacity, uint32_t flags,
                                  basin_job* job, basin_error** error);

/**
 * Renames the volume in place, never over another one; this handle follows, copies of it do not.
 * @param flags  0 or BASIN_ALLOW_..., combined
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_ALREADY_EXISTS, BASIN_E_INVALID_STATE (pool not
 *         active), BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_RENAME_VOLUME), BASIN_E_BUSY
 *         (blockers in the detail), BASIN_E_PERMISSION_DENIED, BASIN_E_IO,
 *         BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Changes the handle: not while another call uses it.
 * @since 0.1
 */
BASIN_API int basin_volume_rename(basin_volume* volume, const char* new_name, uint32_t flags,
                                  basin_job* job, basin_error** error);

/**
 * Overwrites the content in place: of an image file, the file as a whole, so that it is raw
 * afterwards. What lies below may keep old copies all the same: copy-on-write file systems,
 * snapshots of the device, thin pools, journals of data, and flash. There only encryption, or
 * destroying the device, is certain.
 * @param algorithm  BASIN_WIPE_...
 * @param flags      0 or BASIN_ALLOW_..., combined
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_WIPE_VOLUME; trim where the file system
 *         cannot punch holes; an image that has its data in other files, which would stay),
 *         BASIN_E_BUSY (blockers in the detail), BASIN_E_PERMISSION_DENIED, BASIN_E_IO,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_wipe(basin_volume* volume, uint32_t algorithm, uint32_t flags,
                                basin_job* job, basin_error** error);

/**
 * Makes the volume independent of what it is based on: all of that content becomes its own. What a
 * guest reads is the same before, meanwhile and afterwards. Ended early, by a kill too, the volume
 * is still based on what it was, may occupy more, and the next call goes on.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active, or the volume is
 *         based on nothing), BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_FLATTEN_VOLUME),
 *         BASIN_E_BUSY (in use, or it has snapshots, where that matters), BASIN_E_NO_SPACE,
 *         BASIN_E_IO, BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_flatten(basin_volume* volume, uint32_t flags, basin_job* job,
                                   basin_error** error);

/**
 * Writes what can be read from a descriptor into the volume, in place: an image file is written as
 * a file. A transfer that ends early has written what it has; see basin_pool_upload_volume() for
 * one that is whole or not there at all.
 * @param fd      open for reading; read from where it stands; not closed; not the volume's own file
 * @param offset  where in the volume to begin
 * @param length  0: until the descriptor's end
 * @param flags   0 or BASIN_TRANSFER_SPARSE, BASIN_TRANSFER_DIGEST, BASIN_ALLOW_..., combined
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_UPLOAD), BASIN_E_BUSY (in use),
 * BASIN_E_NO_SPACE, BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_upload(basin_volume* volume, int fd, uint64_t offset, uint64_t length,
                                  uint32_t flags, basin_job* job, basin_error** error);

/**
 * Writes the volume's content, as it is on the disk, to a descriptor.
 * @param fd      open for writing; written from where it stands; not closed; not the volume's own
 *                file
 * @param offset  where in the volume to begin
 * @param length  0: to the volume's end
 * @param flags   0 or BASIN_TRANSFER_SPARSE, BASIN_TRANSFER_DIGEST
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_DOWNLOAD), BASIN_E_NO_SPACE,
 *         BASIN_E_PERMISSION_DENIED, BASIN_E_IO, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_download(basin_volume* volume, int fd, uint64_t offset, uint64_t length,
                                    uint32_t flags, basin_job* job, basin_error** error);

/**
 * Does what basin_volume_upload() does, with a callback or descriptor as source, and checks.
 * @param source  fd or read; its free_user_data runs before this function returns (unless
 *                struct_size is too small to reach it)
 * @param flags   0 or BASIN_TRANSFER_SPARSE, BASIN_TRANSFER_DIGEST, BASIN_ALLOW_..., combined
 * @param bytes   how many were transferred, holes included
 * @return the codes of basin_volume_upload(); BASIN_E_INVALID_ARGUMENT: offset or length beyond the
 *         volume's end; BASIN_E_IO: the source ended early, gave more or other bytes than expected;
 *         what the callback returned
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_upload_from(basin_volume* volume, const basin_transfer* source,
                                       uint32_t flags, basin_job* job, uint64_t* bytes,
                                       basin_error** error);

/**
 * Does what basin_volume_download() does, with a callback or descriptor as target, and checks.
 * @param target  fd or write; its free_user_data runs before this function returns (unless
 *                struct_size is too small to reach it)
 * @param flags   0 or BASIN_TRANSFER_SPARSE, BASIN_TRANSFER_DIGEST
 * @param bytes   how many were transferred, holes included
 * @return the codes of basin_volume_download(); BASIN_E_INVALID_ARGUMENT: offset or length beyond
 *         the volume's end; BASIN_E_IO: these are not the expected bytes; what the callback
 * returned
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_download_to(basin_volume* volume, const basin_transfer* target,
                                       uint32_t flags, basin_job* job, uint64_t* bytes,
                                       basin_error** error);

/**
 * Returns the name of a state, such as "missing"; "unknown" for a stranger.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API const char* basin_chain_state_name(uint32_t state);

/**
 * Lists the volume and all that it is based on, through all pools of the context: by the storage
 * itself, such as a clone's parent in a cluster and a snapshot's origin, then by the image's
 * header. Only volumes of active pools are opened, whatever an image's header names; trouble
 * further down is a state.
 * @param flags  0
 * @param links  freed with basin_chain_link_list_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_BACKING_IMAGES)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_list_chain(basin_volume* volume, uint32_t flags,
                                      basin_chain_link*** links, size_t* count,
                                      basin_error** error);

/**
 * Gives basin_volume_list_chain() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_BACKING_IMAGES)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_chain_json(basin_volume* volume, uint32_t flags, char** json,
                                          basin_error** error);

/**
 * Frees a backing chain. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_chain_link_list_free(basin_chain_link** list);

/**
 * Lists the volumes of the context's active pools that are based directly on this one, or keep
 * their data in it. Another pool that cannot be read is passed over; if it is the volume's own,
 * that is the error.
 * @param flags    0
 * @param volumes  freed with basin_volume_list_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_BACKING_IMAGES)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_list_dependents(basin_volume* volume, uint32_t flags,
                                           basin_volume*** volumes, size_t* count,
                                           basin_error** error);

/**
 * Lists the volume's snapshots, oldest first.
 * @param flags      0
 * @param snapshots  freed with basin_snapshot_list_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active) or
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_SNAPSHOTS)
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_list_snapshots(basin_volume* volume, uint32_t flags,
                                          basin_snapshot*** snapshots, size_t* count,
                                          basin_error** error);

/**
 * Frees a list of snapshots. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_snapshot_list_free(basin_snapshot** list);

/**
 * Saves the volume's present state under a name.
 * @param flags     0
 * @param snapshot  freed with basin_snapshot_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_ALREADY_EXISTS, BASIN_E_INVALID_STATE (pool not
 *         active), BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_SNAPSHOTS; or the image refers to
 *         what no active pool has, or has its data in another file), BASIN_E_BUSY,
 *         BASIN_E_NO_SPACE, BASIN_E_IO, BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or
 *         BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_create_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                           basin_job* job, basin_snapshot** snapshot,
                                           basin_error** error);

/**
 * Frees a snapshot's description. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_snapshot_free(basin_snapshot* snapshot);

/**
 * Deletes a snapshot; the volume's present state stays.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_SNAPSHOTS), BASIN_E_BUSY, BASIN_E_IO,
 *         BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_delete_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                           basin_job* job, basin_error** error);

/**
 * Brings a snapshot's state back; what was written since is lost.
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_SNAPSHOTS), BASIN_E_BUSY, BASIN_E_IO,
 *         BASIN_E_COMMAND_FAILED, BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_revert_snapshot(basin_volume* volume, const char* name, uint32_t flags,
                                           basin_job* job, basin_error** error);

/**
 * Keeps a snapshot from being deleted, by whatever program, or lets it be deleted again. To protect
 * one that is protected, or the other way round, changes nothing.
 * @param on     0: it may be deleted
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_PROTECT_SNAPSHOTS), BASIN_E_BUSY (clones that
 *         need the protection are based on it), BASIN_E_IO, BASIN_E_CANCELLED or
 *         BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_protect_snapshot(basin_volume* volume, const char* name, int on,
                                            uint32_t flags, basin_job* job, basin_error** error);

/**
 * Lists the keys and values that applications keep with the volume, by key. What programs of the
 * storage keep there for themselves is not among them: of rbd, keys that begin with "conf_",
 * "libvirt" or ".".
 * @param flags    0
 * @param entries  freed with basin_metadata_list_free()
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_STATE (pool not active),
 *         BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_METADATA) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_list_metadata(basin_volume* volume, uint32_t flags,
                                         basin_metadata*** entries, size_t* count,
                                         basin_error** error);

/**
 * Frees a list of keys and values. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_metadata_list_free(basin_metadata** list);

/**
 * Gives a key a value, be it new or not.
 * @param key    1 to 255 bytes of UTF-8 without control characters, not one of those kept back
 * @param value  UTF-8, at most 64 KiB
 * @param flags  0
 * @return BASIN_OK, BASIN_E_NOT_FOUND, BASIN_E_INVALID_ARGUMENT, BASIN_E_INVALID_STATE (pool not
 *         active), BASIN_E_NOT_SUPPORTED (see BASIN_CAPABILITY_METADATA), BASIN_E_IO,
 *         BASIN_E_CANCELLED or BASIN_E_TIMED_OUT
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_set_metadata(basin_volume* volume, const char* key, const char* value,
                                        uint32_t flags, basin_job* job, basin_error** error);

/**
 * Removes a key with its value.
 * @param flags  0
 * @return the codes of basin_volume_set_metadata(); BASIN_E_NOT_FOUND: no such key, too
 * @note Blocks until it is done. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_remove_metadata(basin_volume* volume, const char* key, uint32_t flags,
                                           basin_job* job, basin_error** error);

/**
 * Lists what would stop delete, resize, wipe and rename now. Processes of other users can be seen
 * by root alone; that there is one is always found out.
 * @param flags     0
 * @param blockers  freed with basin_blocker_list_free()
 * @return BASIN_OK, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_NOT_SUPPORTED: this pool
 *         type cannot tell
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_list_blockers(basin_volume* volume, uint32_t flags,
                                         basin_blocker*** blockers, size_t* count,
                                         basin_error** error);

/**
 * Gives basin_volume_list_blockers() as a JSON array.
 * @param flags  0
 * @param json   freed with basin_free()
 * @return BASIN_OK, BASIN_E_INVALID_STATE (pool not active) or BASIN_E_NOT_SUPPORTED: this pool
 *         type cannot tell
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_volume_get_blockers_json(basin_volume* volume, uint32_t flags, char** json,
                                             basin_error** error);

/* ---- access ---------------------------------------------------------------------------------- */

/** What somebody wants to do with a file or directory: bits. The numbers are access(2)'s. */
enum basin_access_mode {
    BASIN_ACCESS_SEARCH = 1, /**< of a file: execute */
    BASIN_ACCESS_WRITE = 2,
    BASIN_ACCESS_READ = 4
};

/** Whether a user may, and if not, what stands in the way. */
typedef struct basin_access_explanation {
    uint32_t struct_size;
    uint32_t allowed;
    const char* component; /**< path of the first component that denies; "" when allowed */
    const char* rule;      /**< the rule that denies, in words; when allowed: "", or what may still
                              refuse and cannot be known from here */
    const char* remedy;    /**< what would allow it, in words; "" when allowed */
} basin_access_explanation;

/**
 * Finds out, without becoming that user, whether it may use a path: search permission of each
 * component, symbolic links followed, then what is asked for at the end; by mode, POSIX ACL,
 * capabilities of uid 0, read-only mounts, the immutable and append-only flags. Where that cannot
 * be known from here (NFS with root_squash, FUSE without allow_other, an owner that this user
 * namespace does not map), the rule says so.
 * @param groups       supplementary groups; NULL for none
 * @param group_count  how many; 0 for none
 * @param mode         BASIN_ACCESS_..., combined
 * @param flags        0
 * @param explanation  freed with basin_access_explanation_free()
 * @return BASIN_OK also when it is denied; BASIN_E_NOT_FOUND (a component does not exist, or is a
 *         file with more of the path behind it), BASIN_E_INVALID_ARGUMENT (the path is not
 *         absolute), BASIN_E_PERMISSION_DENIED (this process itself may not look) or BASIN_E_IO
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_explain_access(const char* path, uint32_t uid, uint32_t gid,
                                   const uint32_t* groups, size_t group_count, uint32_t mode,
                                   uint32_t flags, basin_access_explanation** explanation,
                                   basin_error** error);

/**
 * Gives basin_explain_access() as a JSON object.
 * @param groups       supplementary groups; NULL for none
 * @param group_count  how many; 0 for none
 * @param mode         BASIN_ACCESS_..., combined
 * @param flags        0
 * @param json         freed with basin_free()
 * @return the codes of basin_explain_access()
 * @note Blocks on the storage. Thread-safe.
 * @since 0.1
 */
BASIN_API int basin_explain_access_json(const char* path, uint32_t uid, uint32_t gid,
                                        const uint32_t* groups, size_t group_count, uint32_t mode,
                                        uint32_t flags, char** json, basin_error** error);

/**
 * Frees an explanation. NULL does nothing.
 * @note Does not block. Thread-safe.
 * @since 0.1
 */
BASIN_API void basin_access_explanation_free(basin_access_explanation* explanation);

#ifdef __cplusplus
}
#endif

#endif
