// SPDX-License-Identifier: LGPL-2.1-or-later
#include "digest.hpp"

#include <algorithm>
#include <array>

#include <cerrno>
#include <cstring>
#include <linux/if_alg.h>
#include <sys/socket.h>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

constexpr std::size_t digest_size = 32;

/** A socket that hashes what is sent to it (Documentation/crypto/userspace-if.rst of Linux). */
UniqueFd hash_socket()
{
    const UniqueFd algorithm(::socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_alg address{};
    address.salg_family = AF_ALG;
    std::memcpy(address.salg_type, "hash", 5);
    std::memcpy(address.salg_name, "sha256", 7);
    if (!algorithm ||
        ::bind(algorithm.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return UniqueFd();
    return UniqueFd(::accept4(algorithm.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

} // namespace

Sha256::Sha256(Provider provider)
{
    if (provider == Provider::kernel) {
        use_kernel();
        return;
    }
    try {
        use_library();
    } catch (const Error& missing) {
        if (provider == Provider::libcrypto)
            throw;
        try {
            use_kernel();
        } catch (const Error&) {
            throw Error(missing); // has the remedy
        }
    }
}

void Sha256::use_library()
{
    // Not EVP: its first use in a process reads openssl.cnf and installs exit handlers for the
    // host.
    library_.emplace("libcrypto.so.3", "libssl3", Unloading::never);
    update_ = library_->get<int(void*, const void*, std::size_t)>("SHA256_Update");
    final_ = library_->get<int(unsigned char*, void*)>("SHA256_Final");
    library_->get<int(void*)>("SHA256_Init")(state_);
}

void Sha256::use_kernel()
{
    kernel_ = hash_socket();
    if (!kernel_)
        throw Error(ErrorCode::unavailable, "SHA-256: the kernel has no user-space crypto API",
                    "load the kernel module 'algif_hash'", "", errno);
}

void Sha256::update(std::string_view bytes)
{
    if (!kernel_) {
        update_(state_, bytes.data(), bytes.size());
        return;
    }
    while (!bytes.empty()) {
        const auto n = ::send(kernel_.get(), bytes.data(), bytes.size(), MSG_MORE | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            throw system_error(errno, "cannot compute a SHA-256");
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

void Sha256::update_zeros(std::uint64_t length)
{
    static constexpr std::array<std::byte, 65536> zeros{};
    while (length > 0) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(length, zeros.size()));
        update(std::span(zeros).first(size));
        length -= size;
    }
}

std::string Sha256::hex()
{
    unsigned char digest[digest_size]{};
    if (!kernel_)
        final_(digest, state_);
    else if (::send(kernel_.get(), nullptr, 0, MSG_NOSIGNAL) != 0 ||
             ::read(kernel_.get(), digest, sizeof digest) != static_cast<ssize_t>(sizeof digest))
        throw system_error(errno, "cannot compute a SHA-256");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const auto byte : digest) {
        result += digits[byte >> 4];
        result += digits[byte & 15];
    }
    return result;
}

} // namespace storage::inline v1
