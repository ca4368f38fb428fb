// SPDX-License-Identifier: LGPL-2.1-or-later
// The answer to a secret request, seen from inside: no pool type of this build asks for one yet.
#include "../../capi/handles.hpp"

#include "../support/expect.h"

int main()
{
    basin_secret_reply reply;
    EXPECT_CODE(basin_secret_reply_set(&reply, nullptr, 1, 0, &error), BASIN_E_INVALID_ARGUMENT);
    EXPECT_CODE(basin_secret_reply_set(&reply, "x", 1, 1, &error), BASIN_E_INVALID_ARGUMENT);
    EXPECT(!reply.secret);

    char bytes[] = {'a', '\0', 'b'};
    EXPECT_OK(basin_secret_reply_set(&reply, bytes, sizeof(bytes), 0, &error));
    bytes[0] = 'x'; // it is a copy
    EXPECT(reply.secret && reply.secret->bytes() == std::string_view("a\0b", 3));
    EXPECT_OK(basin_secret_reply_set(&reply, nullptr, 0, 0, &error));
    EXPECT(reply.secret && reply.secret->bytes().empty());
    return failures();
}
