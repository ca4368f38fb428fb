/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool of images, from definition to removal. Usage: lifecycle DIRECTORY */
#include <basin/basin.h>
#include <stdio.h>

int main(int argc, char** argv)
{
    char xml[512];
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = NULL;
    basin_pool* pool = NULL;
    basin_volume* disk = NULL;
    basin_error* error = NULL;
    const char* root = argc > 1 ? argv[1] : "/tmp/basin-example";

    options.root = root; /* definitions and state; leave it out for the system's own */
    snprintf(xml, sizeof(xml),
             "<pool type='dir'><name>vms</name><target><path>%s/images</path></target></pool>",
             root);
    const char* disk_xml = "<volume><name>disk.img</name><capacity "
                           "unit='GiB'>10</capacity><allocation>0</allocation></volume>";
    if (basin_context_new(&options, 0, &context, &error) ||
        basin_context_define_pool(context, xml, 0, NULL, &pool, &error) ||
        basin_pool_start(pool, BASIN_BUILD_KEEP, 0, NULL, &error) ||
        basin_pool_create_volume(pool, disk_xml, 0, NULL, &disk, &error) ||
        printf("%s: made %s\n", basin_pool_name(pool), basin_volume_name(disk)) < 0 ||
        basin_volume_delete(disk, 0, NULL, &error) || basin_pool_stop(pool, 0, NULL, &error) ||
        basin_pool_delete(pool, 0, NULL, &error) || basin_pool_undefine(pool, 0, NULL, &error))
        fprintf(stderr, "%s\n%s\n", basin_error_message(error), basin_error_remedy(error));
    const int code = basin_error_code(error);
    basin_error_free(error);
    basin_volume_free(disk);
    basin_pool_free(pool);
    basin_context_free(context);
    return code == BASIN_OK ? 0 : 1;
}
