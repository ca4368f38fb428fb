// SPDX-License-Identifier: LGPL-2.1-or-later
#include "luks_format.hpp"

#include "dynamic_library.hpp"
#include "file_attributes.hpp"
#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "passphrase_cost.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <linux/if_alg.h>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::uint64_t sector_size = 512;

// What is needed of the interface of libcryptsetup.so.12 (documented for 2.6.1; kept since 2.1).
// Declared here so that building basin does not need its headers; the tests compare the effect.
struct CryptDevice;

struct CryptPbkdf {
    const char* type{};
    const char* hash{};
    std::uint32_t time_ms{};
    std::uint32_t iterations{};
    std::uint32_t max_memory_kb{};
    std::uint32_t parallel_threads{};
    std::uint32_t flags{};
};
constexpr std::uint32_t pbkdf_no_benchmark = 2;

struct CryptLuks1 {
    const char* hash{};
    std::size_t data_alignment{};
    const char* data_device{};
};

struct CryptLuks2 {
    const CryptPbkdf* pbkdf{};
    const char* integrity{};
    const void* integrity_params{};
    std::size_t data_alignment{};
    const char* data_device{};
    std::uint32_t sector_size{};
    const char* label{};
    const char* subsystem{};
};

struct Cryptsetup {
    DynamicLibrary library{"libcryptsetup.so.12", "libcryptsetup12", Unloading::never};
    int (*init)(CryptDevice**,
                const char*){library.get<int(CryptDevice**, const char*)>("crypt_init")};
    void (*free)(CryptDevice*){library.get<void(CryptDevice*)>("crypt_free")};
    void (*set_log)(CryptDevice*, void (*)(int, const char*, void*), void*){
        library.get<void(CryptDevice*, void (*)(int, const char*, void*), void*)>(
            "crypt_set_log_callback")};
    int (*set_data_offset)(CryptDevice*, std::uint64_t){
        library.get<int(CryptDevice*, std::uint64_t)>("crypt_set_data_offset")};
    int (*set_pbkdf)(CryptDevice*, const CryptPbkdf*){
        library.get<int(CryptDevice*, const CryptPbkdf*)>("crypt_set_pbkdf_type")};
    int (*format)(CryptDevice*, const char*, const char*, const char*, const char*, const char*,
                  std::size_t, void*){
        library.get<int(CryptDevice*, const char*, const char*, const char*, const char*,
                        const char*, std::size_t, void*)>("crypt_format")};
    int (*add_key)(CryptDevice*, int, const char*, std::size_t, const char*, std::size_t){
        library.get<int(CryptDevice*, int, const char*, std::size_t, const char*, std::size_t)>(
            "crypt_keyslot_add_by_volume_key")};
    std::uint64_t (*data_offset)(CryptDevice*){
        library.get<std::uint64_t(CryptDevice*)>("crypt_get_data_offset")};
};

/** What the library says, to be said by our error; it never reaches the host's standard error. */
struct Complaints {
    std::string text{};

    static void take(int level, const char* message, void* self) noexcept
    {
        constexpr int error = 1;
        constexpr std::size_t limit = 1000;
        auto& text = static_cast<Complaints*>(self)->text;
        if (level != error || !message || text.size() > limit)
            return;
        try {
            std::string_view line(message);
            while (line.ends_with('\n') || line.ends_with('.'))
                line.remove_suffix(1);
            text += (text.empty() ? "" : "; ") + std::string(line.substr(0, limit));
        } catch (const std::bad_alloc&) { // the code alone, then
        }
    }
};

/** The words of an Encryption as libcryptsetup wants them. */
struct CipherSpec {
    std::string name{"aes"};
    std::string mode{"xts"};
    std::string ivgen{"plain64"};
    std::string hash{"sha256"};
    std::size_t key_bytes{64};
};

void check_word(const std::string& name, std::string_view what, const std::string& value)
{
    if (value.empty() ||
        value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_:") != value.npos)
        throw Error(ErrorCode::invalid_argument,
                    shown(name) + ": " + std::string(what) + ' ' + shown(value) + " is not a name");
}

CipherSpec spec_of(const std::string& name, const Encryption& encryption)
{
    CipherSpec spec;
    std::uint32_t bits = 256;
    if (encryption.cipher) {
        spec.name = encryption.cipher->name;
        bits = encryption.cipher->size;
        if (!encryption.cipher->mode.empty())
            spec.mode = encryption.cipher->mode;
        if (!encryption.cipher->hash.empty())
            spec.hash = encryption.cipher->hash;
    }
    if (encryption.ivgen) {
        spec.ivgen = encryption.ivgen->name;
        if (spec.ivgen == "essiv")
            spec.ivgen +=
                ':' + (encryption.ivgen->hash.empty() ? "sha256" : encryption.ivgen->hash);
    }
    check_word(name, "cipher", spec.name);
    check_word(name, "cipher mode", spec.mode);
    check_word(name, "ivgen", spec.ivgen);
    check_word(name, "hash", spec.hash);
    if (bits == 0 || bits > 256 || bits % 8 != 0)
        throw Error(ErrorCode::invalid_argument,
                    shown(name) + ": cipher size " + std::to_string(bits) +
                        " is not a number of key bits",
                    "use 256, or what the cipher has; 'xts' takes two such keys by itself");
    spec.key_bytes = bits / 8 * (spec.mode == "xts" ? 2 : 1); // XTS has two keys
    return spec;
}

bool kernel_has(const std::string& algorithm)
{
    sockaddr_alg address{};
    address.salg_family = AF_ALG;
    std::memcpy(address.salg_type, "skcipher", 9);
    if (algorithm.size() >= sizeof address.salg_name)
        return false;
    std::memcpy(address.salg_name, algorithm.c_str(), algorithm.size() + 1);
    const UniqueFd socket(::socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    return socket &&
           ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/**
 * Refuses what libcryptsetup cannot do in this process. It encrypts the key slots with OpenSSL's
 * AES, or another cipher of the kernel's crypto API; where neither has it, it would try with a
 * device-mapper device.
 */
void check_cipher(const std::string& name, const CipherSpec& spec)
{
    const auto refuse = [&](const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::not_supported, shown(name) + ": " + what, remedy);
    };
    const auto bits = spec.key_bytes * 8 / (spec.mode == "xts" ? 2 : 1);
    if (spec.mode != "xts" && spec.mode != "cbc" && spec.mode != "ctr")
        refuse("cipher mode " + shown(spec.mode) + " is not supported in LUKS",
               "use 'xts', 'cbc' or 'ctr'");
    if (spec.ivgen != "plain" && spec.ivgen != "plain64" && spec.ivgen != "essiv:sha256")
        refuse("ivgen " + shown(spec.ivgen) + " is not supported in LUKS",
               "use 'plain64', 'plain', or 'essiv' with the hash 'sha256'");
    if (spec.name == "aes") {
        if (bits != 128 && bits != 256 && (bits != 192 || spec.mode == "xts"))
            refuse("aes-" + std::to_string(bits) + '-' + spec.mode + " does not exist",
                   "use the size 256");
    } else if (!kernel_has(spec.mode + '(' + spec.name + ')') ||
               (spec.ivgen.starts_with("essiv") && !kernel_has("ecb(" + spec.name + ')'))) {
        refuse("the kernel's crypto API has no " + spec.mode + '(' + spec.name +
                   "), which LUKS needs",
               "use the cipher 'aes', or load the kernel modules 'algif_skcipher' and '" +
                   spec.name + "'");
    }
}

void make_room(int fd, const std::string& name, const LuksFormat& format, Job* job)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        throw system_error(errno, "cannot look at " + shown(name));
    if (S_ISBLK(status.st_mode))
        return;
    if (!S_ISREG(status.st_mode))
        throw Error(ErrorCode::invalid_argument,
                    shown(name) + ": neither a file nor a block device");
    const auto offset = luks_payload_offset(format.version);
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
    if (format.capacity == 0 || format.capacity % sector_size != 0 ||
        format.capacity > limit - offset)
        throw Error(ErrorCode::invalid_argument,
                    shown(name) + ": capacity " + std::to_string(format.capacity) +
                        " is not possible in LUKS",
                    "give a multiple of 512 from 512 to " +
                        std::to_string((limit - offset) / sector_size * sector_size));
    if (::ftruncate(fd, static_cast<off_t>(offset + format.capacity)) != 0)
        throw system_error(errno, "cannot set the size of " + shown(name));
    allocate_range(fd, offset, name, job); // all of it is written: libcryptsetup says EIO when full
}

CryptPbkdf pbkdf_of(const LuksFormat& format, const CipherSpec& spec)
{
    const bool argon = format.version == 2;
    CryptPbkdf pbkdf{.type = argon ? "argon2id" : "pbkdf2",
                     .hash = spec.hash.c_str(),
                     .time_ms = passphrase_cost_ms,
                     .max_memory_kb = argon ? 64U << 10 : 0,
                     .parallel_threads = argon ? 1U : 0};
    if (format.iterations) {
        pbkdf.time_ms = 0;
        pbkdf.iterations = format.iterations;
        pbkdf.max_memory_kb = argon ? 32 : 0;
        pbkdf.flags = pbkdf_no_benchmark;
    }
    return pbkdf;
}

} // namespace

std::uint64_t luks_payload_offset(int version)
{
    // What cryptsetup chooses for keys of 512 bits. 1: the header's 4 KiB and eight slots of 4000
    // times the key, in steps of 1 MiB. 2: header and key slots have 16 MiB.
    if (version != 1 && version != 2)
        throw Error(ErrorCode::invalid_argument,
                    "LUKS version " + std::to_string(version) + " is not known");
    return version == 1 ? 2 << 20 : 16 << 20;
}

void format_luks(int fd, const std::string& name, const LuksFormat& format, const Secret& secret,
                 Job* job)
{
    const auto spec = spec_of(name, format.encryption);
    const auto offset = luks_payload_offset(format.version) / sector_size;
    if (secret.bytes().empty())
        throw Error(ErrorCode::invalid_argument, shown(name) + ": an empty secret");
    check_cipher(name, spec);
    const Cryptsetup cryptsetup;
    make_room(fd, name, format, job);
    check(job, name);

    Complaints complaints;
    const auto succeed = [&](int result, const char* what) {
        if (result >= 0)
            return;
        const auto reason = complaints.text.empty() ? "" : " (" + complaints.text + ')';
        const auto message = std::string("cannot ") + what + ' ' + shown(name) + reason;
        // EINVAL and ENOENT are its answers to names of ciphers and hashes that it does not have.
        if (result == -EINVAL || result == -ENOENT || result == -ENOTSUP)
            throw Error(ErrorCode::not_supported, message,
                        "leave cipher and ivgen out for aes-256-xts with sha256", "", -result);
        throw system_error(-result, message);
    };
    // By the descriptor, which surely can be opened: the library's complaints about a name that
    // cannot go to standard error, because there is no device yet whose log could be set.
    CryptDevice* made = nullptr;
    succeed(cryptsetup.init(&made, ("/proc/self/fd/" + std::to_string(fd)).c_str()), "open");
    const std::unique_ptr<CryptDevice, void (*)(CryptDevice*)> device(made, cryptsetup.free);
    cryptsetup.set_log(made, Complaints::take, &complaints);

    const auto pbkdf = pbkdf_of(format, spec);
    succeed(cryptsetup.set_pbkdf(made, &pbkdf), "set the cost of a passphrase of");
    succeed(cryptsetup.set_data_offset(made, offset), "set the payload of");
    CryptLuks1 first{.hash = spec.hash.c_str()};
    CryptLuks2 second{.pbkdf = &pbkdf, .sector_size = sector_size};
    succeed(cryptsetup.format(made, format.version == 1 ? "LUKS1" : "LUKS2", spec.name.c_str(),
                              (spec.mode + '-' + spec.ivgen).c_str(), nullptr, nullptr,
                              spec.key_bytes,
                              format.version == 1 ? static_cast<void*>(&first) : &second),
            "format");
    check(job, name);
    constexpr int any_slot = -1;
    succeed(cryptsetup.add_key(made, any_slot, nullptr, 0, secret.bytes().data(),
                               secret.bytes().size()),
            "add a key to");
    if (cryptsetup.data_offset(made) != offset)
        throw Error(ErrorCode::internal, shown(name) + ": libcryptsetup put the payload elsewhere");
}

void format_luks(const std::string& path, const LuksFormat& format, const Secret& secret, Job* job)
{
    const auto fd = open_file(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
    format_luks(fd.get(), path, format, secret, job);
}

} // namespace storage::inline v1
