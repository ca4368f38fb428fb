// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_copy_up.hpp"

#include "job_impl.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace storage::inline v1 {
namespace {

/** One flag for each object. */
struct Presence {
    std::uint64_t object_size{};
    std::vector<bool> objects{};
};

int note_objects(std::uint64_t offset, std::size_t length, int exists, void* self) noexcept
{
    auto& presence = *static_cast<Presence*>(self);
    if (!exists || length == 0)
        return 0;
    const auto last = (offset + length - 1) / presence.object_size;
    for (auto number = offset / presence.object_size;
         number <= last && number < presence.objects.size(); ++number)
        presence.objects[number] = true;
    return 0;
}

enum class By : bool { map, objects };

/** The objects below a length that the clone has of its own. */
std::vector<bool> own_objects(const RbdImage& image, std::uint64_t length,
                              std::uint64_t object_size, By by)
{
    Presence presence{.object_size = object_size,
                      .objects = std::vector<bool>((length + object_size - 1) / object_size)};
    constexpr std::uint8_t no_parent = 0;
    image.check(image.library().rbd_diff_iterate2(image.get(), nullptr, 0, length, no_parent,
                                                  by == By::map, note_objects, &presence),
                "cannot ask which objects it has");
    return std::move(presence.objects);
}

/** Writes what is there: the first write to an object copies the rest of it from the parent. */
void copy_up(const RbdImage& image, std::uint64_t at, std::uint64_t end)
{
    std::array<char, 512> sector{};
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(sector.size(), end - at));
    const auto& library = image.library();
    image.check(library.rbd_read(image.get(), at, size, sector.data()), "cannot read");
    std::uint64_t differs = 0;
    const auto code = library.rbd_compare_and_write(image.get(), at, size, sector.data(),
                                                    sector.data(), &differs, 0);
    if (code != -EILSEQ) // else somebody wrote to it, and so copied it
        image.check(code, "cannot copy an object from its parent");
}

} // namespace

void copy_up_unwritten(const RbdImage& image, Job* job)
{
    const auto& library = image.library();
    std::uint64_t features = 0, overlap = 0;
    image.check(library.rbd_get_features(image.get(), &features), "cannot ask for its features");
    image.check(library.rbd_get_overlap(image.get(), &overlap), "cannot ask for its parent");
    if (!(features & rbd_feature_object_map) || overlap == 0)
        return;
    const auto object_size = image.info().obj_size;
    const auto there = own_objects(image, overlap, object_size, By::objects);
    // Without fast-diff the map cannot be asked.
    const auto mapped = features & rbd_feature_fast_diff
                            ? own_objects(image, overlap, object_size, By::map)
                            : std::vector<bool>(there.size(), true);
    for (std::size_t number = 0; number != there.size(); ++number)
        if (mapped[number] && !there[number]) {
            copy_up(image, number * object_size, overlap);
            check(job, "flattening '" + image.path() + "'");
        }
}

} // namespace storage::inline v1
