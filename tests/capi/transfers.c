/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Content in and out of volumes through callbacks and descriptors, whole, checked and resumed. */
#include "fixture.h"

#include <fcntl.h>

enum { MIB = 1 << 20 };

/* SHA-256 of "content". */
static const char content_sha256[] =
    "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

/** What a reading callback gives, piece by piece; each piece once. */
struct pieces {
    const char* text[4]; /* NULL: a hole of `holes` bytes */
    uint64_t holes[4];
    int count;
    int given;
    int64_t at_the_end; /* returned after the last piece */
    int freed;
};

static void free_pieces(void* user_data)
{
    ++((struct pieces*)user_data)->freed;
}

static int64_t give(void* user_data, void* buffer, size_t size, uint64_t* hole)
{
    struct pieces* pieces = user_data;
    const int index = pieces->given;
    size_t length;

    EXPECT(pieces->freed == 0 && *hole == 0 && size > 0);
    if (index == pieces->count)
        return pieces->at_the_end;
    ++pieces->given;
    if (!pieces->text[index]) {
        *hole = pieces->holes[index];
        return 0;
    }
    length = strlen(pieces->text[index]);
    EXPECT(length <= size);
    memcpy(buffer, pieces->text[index], length);
    return (int64_t)length;
}

static int64_t give_more_than_fits(void* user_data, void* buffer, size_t size, uint64_t* hole)
{
    (void)user_data;
    (void)buffer;
    (void)hole;
    return (int64_t)size + 1;
}

static int64_t give_bytes_and_a_hole(void* user_data, void* buffer, size_t size, uint64_t* hole)
{
    (void)user_data;
    memset(buffer, 'x', size);
    *hole = 1;
    return 1;
}

static basin_transfer from(struct pieces* pieces)
{
    basin_transfer transfer = BASIN_TRANSFER_INIT;

    transfer.read.fn = give;
    transfer.read.user_data = pieces;
    transfer.read.free_user_data = free_pieces;
    return transfer;
}

/** What a writing callback took. */
struct taken {
    char data[MIB];
    uint64_t length;
    uint64_t holes;
    int limit; /* calls until it gives up; 0: never */
    int calls;
    int freed;
};

static struct taken taken;

static void free_taken(void* user_data)
{
    ++((struct taken*)user_data)->freed;
}

static int take(void* user_data, const void* data, size_t size, uint64_t hole)
{
    struct taken* to = user_data;

    EXPECT(to->freed == 0 && (size == 0) != (hole == 0));
    if (++to->calls == to->limit)
        return BASIN_E_NO_SPACE;
    if (!EXPECT(to->length + size + hole <= sizeof(to->data)))
        return BASIN_E_INTERNAL;
    if (size > 0)
        memcpy(to->data + to->length, data, size);
    to->length += size + hole;
    to->holes += hole;
    return BASIN_OK;
}

static basin_transfer into_taken(int limit)
{
    basin_transfer transfer = BASIN_TRANSFER_INIT;

    memset(&taken, 0, sizeof(taken));
    taken.limit = limit;
    transfer.write.fn = take;
    transfer.write.user_data = &taken;
    transfer.write.free_user_data = free_taken;
    return transfer;
}

/** Data, a hole over what was there, data; and all of it back. */
static void test_callbacks(basin_volume* volume)
{
    struct pieces pieces = {{"xxxxxxxxxxxx", NULL}, {0, 0}, 1, 0, 0, 0};
    struct pieces holed = {{"con", NULL, "tent", NULL}, {0, 5, 0, 0}, 3, 0, 0, 0};
    basin_transfer transfer = from(&pieces);
    uint64_t bytes = 0;

    EXPECT_OK(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error));
    EXPECT(bytes == 12 && pieces.freed == 1);
    transfer = from(&holed);
    transfer.offset = 1;
    EXPECT_OK(
        basin_volume_upload_from(volume, &transfer, BASIN_TRANSFER_SPARSE, NULL, &bytes, &error));
    EXPECT(bytes == 12 && holed.freed == 1 && holed.given == 3);

    transfer = into_taken(0);
    EXPECT_OK(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error));
    EXPECT(bytes == MIB && taken.length == MIB && taken.holes == 0 && taken.freed == 1);
    EXPECT(memcmp(taken.data, "xcon\0\0\0\0\0tent\0", 14) == 0);
    transfer = into_taken(0);
    EXPECT_OK(
        basin_volume_download_to(volume, &transfer, BASIN_TRANSFER_SPARSE, NULL, &bytes, &error));
    EXPECT(bytes == MIB && taken.length == MIB && taken.holes > 0 && taken.freed == 1);
    EXPECT(memcmp(taken.data, "xcon\0\0\0\0\0tent\0", 14) == 0);
    transfer = into_taken(0);
    transfer.offset = 1;
    transfer.length = 3;
    EXPECT_OK(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error));
    EXPECT(bytes == 3 && taken.length == 3 && memcmp(taken.data, "con", 3) == 0);
}

/** A callback that gives up ends the call with its code; one that errs is the caller's mistake. */
static void test_giving_up(basin_volume* volume)
{
    struct pieces pieces = {{"con", NULL}, {0, 0}, 1, 0, BASIN_E_CONNECTION, 0};
    basin_transfer transfer = from(&pieces);
    uint64_t bytes = 77;
    int code = basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error);

    EXPECT(strstr(basin_error_message(error), "callback") != NULL);
    EXPECT(basin_error_retryable(error) == 1);
    EXPECT_CODE(code, BASIN_E_CONNECTION);
    EXPECT(pieces.freed == 1 && bytes == 77);
    pieces.given = pieces.freed = 0;
    pieces.at_the_end = -1234; /* no code of basin's */
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INTERNAL);
    EXPECT(pieces.freed == 1);
    pieces.freed = 0;
    transfer.read.fn = give_more_than_fits;
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    transfer.read.fn = give_bytes_and_a_hole;
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(pieces.freed == 2);
    transfer = into_taken(1);
    EXPECT_CODE(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_NO_SPACE);
    EXPECT(taken.calls == 1 && taken.freed == 1 && bytes == 77);
}

/** What arrives is compared with what should; the digest is told. */
static void test_checks(basin_volume* volume)
{
    struct pieces pieces = {{"content", NULL}, {0, 0}, 1, 0, 0, 0};
    basin_transfer transfer = from(&pieces);
    basin_job* job = NULL;
    char* digest = NULL;
    uint64_t bytes = 0;

    EXPECT_OK(basin_job_new(0, &job, &error));
    transfer.expected_sha256 = content_sha256;
    transfer.expected_length = 7;
    transfer.has_expected_length = 1;
    EXPECT_OK(
        basin_volume_upload_from(volume, &transfer, BASIN_TRANSFER_DIGEST, job, &bytes, &error));
    EXPECT(bytes == 7);
    EXPECT_OK(basin_job_get_fact(job, "sha256", 0, &digest, &error));
    if (EXPECT(digest != NULL))
        EXPECT_TEXT(digest, content_sha256);
    basin_free(digest);
    basin_job_free(job);

    pieces.given = pieces.freed = 0;
    transfer.expected_length = 8;
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error), BASIN_E_IO);
    pieces.given = pieces.freed = 0;
    transfer.has_expected_length = 0;
    pieces.text[0] = "discontent";
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error), BASIN_E_IO);
    EXPECT(pieces.freed == 1);
    pieces.given = pieces.freed = 0;
    transfer.expected_sha256 = "content";
    EXPECT_CODE(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error),
                BASIN_E_INVALID_ARGUMENT);
    EXPECT(pieces.freed == 1 && pieces.given == 0);
}

/** A pipe has no length and no position. */
static void test_pipe(basin_volume* volume)
{
    basin_transfer transfer = BASIN_TRANSFER_INIT;
    char back[8] = "";
    uint64_t bytes = 0;
    int ends[2];

    EXPECT(pipe(ends) == 0 && write(ends[1], "content", 7) == 7 && close(ends[1]) == 0);
    transfer.fd = ends[0];
    EXPECT_OK(basin_volume_upload_from(volume, &transfer, 0, NULL, &bytes, &error));
    EXPECT(bytes == 7 && fcntl(ends[0], F_GETFD) >= 0); /* not closed */
    close(ends[0]);
    EXPECT(pipe(ends) == 0);
    EXPECT_OK(basin_volume_download(volume, ends[1], 0, 7, 0, NULL, &error));
    EXPECT(read(ends[0], back, sizeof(back)) == 7 && memcmp(back, "content", 7) == 0);
    close(ends[0]);
    close(ends[1]);
}

static const char new_volume[] = "<volume><name>new</name></volume>";

static int exists(basin_pool* pool, const char* name)
{
    basin_volume* found = NULL;
    const int code = basin_pool_find_volume(pool, name, 0, &found, NULL);

    basin_volume_free(found);
    return code == BASIN_OK;
}

/** A new volume is there when all of it is, and not before. */
static void test_new_volume(basin_pool* pool)
{
    struct pieces pieces = {{"con", "tent"}, {0, 0}, 2, 0, 0, 0};
    basin_transfer transfer = from(&pieces);
    basin_volume* volume = NULL;
    basin_volume_info* info = NULL;
    uint64_t bytes = 77;
    int found = 77;

    transfer.expected_sha256 = content_sha256;
    if (!EXPECT_OK(basin_pool_upload_volume(pool, new_volume, &transfer, 0, NULL, &volume, &error)))
        return;
    EXPECT(pieces.freed == 1);
    EXPECT_OK(basin_volume_get_info(volume, 0, &info, &error));
    EXPECT(info->capacity == 7);
    basin_volume_info_free(info);
    EXPECT_OK(basin_volume_delete(volume, 0, NULL, &error));
    basin_volume_free(volume);
    volume = NULL;

    pieces.given = pieces.freed = 0;
    pieces.at_the_end = BASIN_E_CANCELLED;
    EXPECT_CODE(basin_pool_upload_volume(pool, new_volume, &transfer, 0, NULL, &volume, &error),
                BASIN_E_CANCELLED);
    EXPECT(pieces.freed == 1 && volume == NULL && !exists(pool, "new"));
    EXPECT_OK(basin_pool_get_partial_upload(pool, "new", 0, &found, &bytes, &error));
    EXPECT(found == 0 && bytes == 0);
    EXPECT_CODE(basin_pool_discard_upload(pool, "new", 0, NULL, &error), BASIN_E_NOT_FOUND);
}

/** What arrived before the source gave up is kept, invisibly, and need not come again. */
static void test_resume(basin_context* context, basin_pool* pool)
{
    struct pieces pieces = {{"con", NULL}, {0, 0}, 1, 0, BASIN_E_CONNECTION, 0};
    struct pieces rest = {{"tent", NULL}, {0, 0}, 1, 0, 0, 0};
    basin_transfer transfer = from(&pieces);
    basin_volume* volume = NULL;
    char** names = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    basin_pool* other = NULL;
    char* identity = NULL;
    int found = 0;

    for (int round = 0; round < 2; ++round) {
        pieces.given = pieces.freed = 0;
        EXPECT_CODE(basin_pool_upload_volume(pool, new_volume, &transfer, BASIN_TRANSFER_RESUMABLE,
                                             NULL, &volume, &error),
                    BASIN_E_CONNECTION);
        EXPECT(!exists(pool, "new") && pieces.freed == 1);
        EXPECT_OK(basin_pool_list_volume_names(pool, 0, &names, &count, &error));
        for (size_t i = 0; i < count; ++i)
            EXPECT(strstr(names[i], "new") == NULL);
        basin_string_list_free(names);
        EXPECT_OK(basin_pool_get_partial_upload(pool, "new", 0, &found, &bytes, &error));
        EXPECT(found == 1 && bytes == 3);
        if (round == 0)
            EXPECT_OK(basin_pool_discard_upload(pool, "new", 0, NULL, &error));
    }
    EXPECT_OK(basin_pool_get_upload_identity(pool, "new", 0, &identity, &error));
    EXPECT_OK(basin_context_find_pool(context, "vms", 0, &other, &error));
    EXPECT_OK(basin_pool_expect(other, "upload:another", 0, &error));
    EXPECT_CODE(basin_pool_discard_upload(other, "new", 0, NULL, &error), BASIN_E_NOT_FOUND);
    EXPECT_OK(basin_pool_expect(other, identity, 0, &error));
    basin_free(identity);
    transfer = from(&rest);
    transfer.offset = bytes;
    transfer.expected_sha256 = content_sha256;
    if (!EXPECT_OK(basin_pool_upload_volume(other, new_volume, &transfer, BASIN_TRANSFER_RESUMABLE,
                                            NULL, &volume, &error)))
        return;
    EXPECT_CODE(basin_pool_get_upload_identity(pool, "new", 0, &identity, &error),
                BASIN_E_NOT_FOUND);
    basin_pool_free(other);
    transfer = into_taken(0);
    EXPECT_OK(basin_volume_download_to(volume, &transfer, 0, NULL, &bytes, &error));
    EXPECT(bytes == 7 && memcmp(taken.data, "content", 7) == 0);
    EXPECT_OK(basin_pool_get_partial_upload(pool, "new", 0, &found, &bytes, &error));
    EXPECT(found == 0);
    basin_volume_free(volume);
}

int main(void)
{
    basin_context* context;
    basin_pool* pool;
    basin_volume* volume;
    basin_backend_info* dir = NULL;
    uint64_t capabilities;

    EXPECT_OK(basin_backend_get_info("dir", 0, &dir, &error));
    capabilities = dir->capabilities;
    basin_backend_info_free(dir);
    if (!(capabilities >> BASIN_CAPABILITY_UPLOAD & capabilities >> BASIN_CAPABILITY_DOWNLOAD &
          1)) {
        printf("skipped: no transfers in pools of type dir\n");
        return 77;
    }
    fixture_open();
    context = fixture_context();
    pool = fixture_pool(context);
    volume = fixture_volume(pool, "a");
    test_callbacks(volume);
    test_giving_up(volume);
    test_checks(volume);
    test_pipe(volume);
    test_new_volume(pool);
    test_resume(context, pool);
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(context);
    return failures();
}
