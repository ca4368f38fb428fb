// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_flatten.hpp"

#include "job_impl.hpp"
#include "rbd_images.hpp"
#include "rbd_locks.hpp"
#include "rbd_step_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <vector>

namespace storage::inline v1 {
namespace {

/** Which object has which bytes: units go to the objects of a set in turn. */
struct Layout {
    std::uint64_t object_size{};
    std::uint64_t unit{};
    std::uint64_t count{}; ///< of objects in a set

    std::uint64_t object_of_unit(std::uint64_t number) const
    {
        const auto units_of_set = object_size / unit * count;
        return number / units_of_set * count + number % count;
    }
    std::uint64_t start_of_object(std::uint64_t number) const
    {
        return number / count * count * object_size + number % count * unit;
    }
    std::uint64_t objects_below(std::uint64_t length) const
    {
        return length == 0 ? 0 : ((length - 1) / object_size / count + 1) * count;
    }
};

Layout layout_of(const RbdImage& image)
{
    Layout layout{.object_size = image.info().obj_size};
    const auto& library = image.library();
    const auto what = "cannot ask for its stripes";
    image.check(library.rbd_get_stripe_unit(image.get(), &layout.unit), what);
    image.check(library.rbd_get_stripe_count(image.get(), &layout.count), what);
    return layout;
}

/** One flag for each object. */
struct Presence {
    Layout layout{};
    std::vector<bool> objects{};
};

int note_objects(std::uint64_t offset, std::size_t length, int exists, void* self) noexcept
{
    auto& presence = *static_cast<Presence*>(self);
    if (!exists || length == 0)
        return 0;
    const auto& layout = presence.layout;
    const auto last = (offset + length - 1) / layout.unit;
    for (auto unit = offset / layout.unit; unit <= last; ++unit)
        if (const auto number = layout.object_of_unit(unit); number < presence.objects.size())
            presence.objects[number] = true;
    return 0;
}

enum class By : bool { map, objects };

/** The objects below a length that the clone has of its own. */
std::vector<bool> own_objects(const RbdImage& image, std::uint64_t length, const Layout& layout,
                              By by)
{
    Presence presence{.layout = layout, .objects = std::vector<bool>(layout.objects_below(length))};
    constexpr std::uint8_t no_parent = 0;
    image.check(image.library().rbd_diff_iterate2(image.get(), nullptr, 0, length, no_parent,
                                                  by == By::map, note_objects, &presence),
                "cannot ask which objects it has");
    return std::move(presence.objects);
}

std::uint64_t overlap_of(const RbdImage& image)
{
    std::uint64_t overlap = 0;
    image.check(image.library().rbd_get_overlap(image.get(), &overlap),
                "cannot ask for its parent");
    return overlap;
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

/** Copies from the parent what flattening would leave out. Ceph (seen with 16.2) skips objects that
 * the object map has, and the map has them before they are written: where a client died in between,
 * for one while it flattened, the object is not there, and the parent's data is lost with the
 * parent. */
void copy_up_unwritten(const RbdImage& image, std::uint64_t overlap, Job* job)
{
    std::uint64_t features = 0;
    image.check(image.library().rbd_get_features(image.get(), &features),
                "cannot ask for its features");
    if (!(features & rbd_feature_object_map) || overlap == 0)
        return;
    const auto layout = layout_of(image);
    const auto there = own_objects(image, overlap, layout, By::objects);
    // Without fast-diff the map cannot be asked.
    const auto mapped = features & rbd_feature_fast_diff
                            ? own_objects(image, overlap, layout, By::map)
                            : std::vector<bool>(there.size(), true);
    for (std::size_t number = 0; number != there.size(); ++number)
        if (const auto start = layout.start_of_object(number);
            start < overlap && mapped[number] && !there[number]) {
            copy_up(image, start, overlap);
            check(job, "flattening '" + image.path() + "'");
        }
}

constexpr auto ending = "ending"; ///< declared before the parent is given up

/** Tells the job, and declares when the last object is reached: what follows cannot be gone back
 * on. */
struct Flattening {
    StepRun& run;
    RbdJob job{.job = run.job()};
    std::exception_ptr problem{};

    void declare()
    {
        if (run.evidence(ending).empty())
            run.declare(ending, "yes");
    }
    static int report(std::uint64_t done, std::uint64_t total, void* self) noexcept
    {
        auto& flattening = *static_cast<Flattening*>(self);
        const int code = RbdJob::report(done, total, &flattening.job);
        if (code >= 0 && done + 1 >= total)
            try {
                flattening.declare();
            } catch (...) {
                flattening.problem = std::current_exception();
                return -EIO;
            }
        return code;
    }
};

/** Ceph gives up the parent's snapshot first and the clone's reference to it second: a clone at
 * which it died in between has all its data, and nobody can open it.
 * @return whether it was one */
bool forget_lost_parent(const StepRun& run, const RbdStepPool& pool)
{
    const auto& id = run.argument("id");
    if (run.evidence(ending).empty() || !id_of(pool, run.argument("name")).empty() ||
        listed_id(list_directory(*pool), run.argument("name")) != id)
        return false;
    const auto header = "rbd_header." + id;
    const auto call = [&](const char* method) { // of Ceph's src/cls/rbd, as librbd calls it
        return pool.library().rados_exec(pool->pool(), header.c_str(), "rbd", method, nullptr, 0,
                                         nullptr, 0);
    };
    auto code = call("parent_detach");
    if (code == -EOPNOTSUPP) // before Ceph 14
        code = call("remove_parent");
    if (code != -ENOENT)
        pool->check(code, "'" + pool->path_of(run.argument("name")) +
                              "': cannot remove the reference to a parent that is gone");
    return true;
}

} // namespace

void apply_flatten(StepRun& run)
{
    const RbdStepPool pool(run);
    if (forget_lost_parent(run, pool))
        return;
    const RbdImage image(pool.shared(), run.argument("name"), RbdImage::Mode::write);
    require_changeable(image, run.argument("id"));
    const bool goes_on = !run.evidence(ending).empty();
    const auto overlap = overlap_of(image);
    if (goes_on && overlap == 0)
        return;
    copy_up_unwritten(image, overlap, run.job());
    enter_phase(run.job(), "flattening", image.info().num_objs);
    Flattening flattening{.run = run};
    if (overlap == 0) // nothing to tell of
        flattening.declare();
    const int code = flattening.job.follow([&] {
        return image.library().rbd_flatten_with_progress(image.get(), Flattening::report,
                                                         &flattening);
    });
    if (flattening.problem)
        std::rethrow_exception(flattening.problem);
    image.check(code, "cannot flatten it");
}

void undo_flatten(StepRun& run)
{
    forget_lost_parent(run, RbdStepPool(run));
}

} // namespace storage::inline v1
