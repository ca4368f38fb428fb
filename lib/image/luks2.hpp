// SPDX-License-Identifier: LGPL-2.1-or-later
// What the two versions of LUKS share.
#pragma once

#include "image/inspection.hpp"

namespace storage::inline v1::image {

/** An encryption without a format from "aes", "xts-plain64" and the bytes of the stored key. */
Encryption cipher_of(std::string_view name, std::string_view mode, std::uint64_t key_bytes);

/** Where the data begins, and so how large it is. 0: the header is detached. */
void set_payload(Inspection& image, std::uint64_t offset);

void inspect_luks2(Inspection& image);

} // namespace storage::inline v1::image
