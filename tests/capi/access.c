/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keeps another user from a file; asked without becoming that user. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

int main(void)
{
    char path[128];
    char* json = NULL;
    basin_access_explanation* answer = NULL;
    const uint32_t uid = getuid();
    const uint32_t gid = getgid();
    const uint32_t groups[] = {gid + 1, gid + 2};
    int fd;

    fixture_open(); /* a directory of mode 0700 */
    snprintf(path, sizeof(path), "%s/file", fixture_root);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && close(fd) == 0);

    EXPECT_OK(basin_explain_access(path, uid, gid, NULL, 0, BASIN_ACCESS_READ | BASIN_ACCESS_WRITE,
                                   0, &answer, &error));
    EXPECT(answer->struct_size == sizeof(*answer) && answer->allowed == 1);
    EXPECT_TEXT(answer->component, "");
    EXPECT_TEXT(answer->rule, "");
    basin_access_explanation_free(answer);

    EXPECT_OK(basin_explain_access(path, uid + 1, gid + 1, groups, 2, BASIN_ACCESS_READ, 0, &answer,
                                   &error));
    EXPECT(answer->allowed == 0);
    EXPECT_TEXT(answer->component, fixture_root);
    EXPECT(strstr(answer->rule, "search") != NULL && answer->remedy[0] != '\0');
    basin_access_explanation_free(answer);
    EXPECT_OK(basin_explain_access_json(path, uid + 1, gid + 1, groups, 2, BASIN_ACCESS_READ, 0,
                                        &json, &error));
    EXPECT(strstr(json, "\"allowed\":false") != NULL && strstr(json, fixture_root) != NULL);
    basin_free(json);

    EXPECT(chmod(fixture_root, 0711) == 0);
    EXPECT_OK(basin_explain_access(path, uid + 1, gid + 1, groups, 2, BASIN_ACCESS_READ, 0, &answer,
                                   &error));
    EXPECT(answer->allowed == 0);
    EXPECT_TEXT(answer->component, path);
    basin_access_explanation_free(answer);
    EXPECT(chmod(path, 0604) == 0);
    EXPECT_OK(basin_explain_access(path, uid + 1, gid + 1, groups, 2, BASIN_ACCESS_READ, 0, &answer,
                                   &error));
    EXPECT(answer->allowed == 1);
    basin_access_explanation_free(answer);

    strcat(path, ".gone");
    EXPECT_CODE(
        basin_explain_access(path, uid, gid, NULL, 0, BASIN_ACCESS_READ, 0, &answer, &error),
        BASIN_E_NOT_FOUND);
    return failures();
}
