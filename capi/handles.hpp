// SPDX-License-Identifier: LGPL-2.1-or-later
// What the opaque handles of basin.h are. Seen by capi/*.cpp alone.
#pragma once

#include "boundary.hpp"

#include <basin/context.hpp>

#include <memory>

namespace storage::capi {

/** A callback of the caller; frees its user_data exactly once. */
template <typename Callback>
class Closure {
public:
    Closure() = default;
    explicit Closure(const Callback& callback) : callback_(callback) {}
    Closure(Closure&& other) noexcept : callback_(std::exchange(other.callback_, {})) {}
    Closure& operator=(Closure&&) = delete;
    ~Closure()
    {
        if (callback_.free_user_data)
            callback_.free_user_data(callback_.user_data);
    }

    explicit operator bool() const { return callback_.fn != nullptr; }
    template <typename... Arguments>
    auto operator()(Arguments... arguments) const
    {
        return callback_.fn(callback_.user_data, arguments...);
    }

    /** For std::function, which copies. If there is no memory, *this still frees. */
    static std::shared_ptr<const Closure> share(Closure& closure)
    {
        return std::make_shared<const Closure>(std::move(closure));
    }

private:
    Callback callback_{};
};

/** An open context; every handle from it keeps it open, so that they can be freed in any order. */
struct ContextState {
    ContextState(ContextOptions options) : log(options.log), cpp(std::move(options)) {}

    LogCallback log;
    Context cpp;
};

} // namespace storage::capi

struct basin_context {
    std::shared_ptr<storage::capi::ContextState> state;
};

struct basin_pool {
    basin_pool(std::shared_ptr<storage::capi::ContextState> state, storage::Pool pool)
        : context(std::move(state)), cpp(std::move(pool)), name(cpp.name()), uuid(cpp.uuid()),
          type(cpp.type())
    {
    }

    std::shared_ptr<storage::capi::ContextState> context;
    storage::Pool cpp;
    // Kept here so that they can be lent.
    std::string name;
    std::string uuid;
    std::string type;
};

struct basin_volume {
    basin_volume(std::shared_ptr<storage::capi::ContextState> the_context, storage::Volume volume)
        : context(std::move(the_context)), cpp(std::move(volume)), name(cpp.name())
    {
    }
    std::shared_ptr<storage::capi::ContextState> context;
    storage::Volume cpp;
    std::string name; ///< what basin_volume_name() gave out
};

struct basin_job {
    storage::Job cpp;
};

struct basin_secret_reply {
    std::optional<storage::Secret> secret;
};

namespace storage::capi {

inline Job* job_or_null(basin_job* job)
{
    return job ? &job->cpp : nullptr;
}

/** Frees a list of handles. */
template <typename Handle>
struct HandleListFree {
    void operator()(Handle** list) const
    {
        if (!list)
            return;
        for (Handle** handle = list; *handle; ++handle)
            delete *handle;
        std::free(list);
    }
};

/** Makes a list of handles that ends with NULL. */
template <typename Handle, typename Values>
Handle** make_handles(const std::shared_ptr<ContextState>& context, Values values)
{
    const std::size_t size = (values.size() + 1) * sizeof(Handle*);
    std::unique_ptr<Handle*, HandleListFree<Handle>> list(static_cast<Handle**>(allocate(size)));
    Handle** slot = list.get();
    *slot = nullptr;
    for (auto& value : values) {
        *slot = new Handle{context, std::move(value)};
        *++slot = nullptr;
    }
    return list.release();
}

inline constexpr std::uint32_t definition_flags = BASIN_DEFINITION_STRICT | BASIN_DEFINITION_JSON;

/** Reads a definition as the flags say. */
PoolDef read_pool(std::string_view definition, std::uint32_t flags,
                  const WarningCallback& on_ignored);
VolumeDef read_volume(std::string_view definition, std::string_view pool_type,
                      VolumePurpose purpose, std::uint32_t flags,
                      const WarningCallback& on_ignored);
/** Tells a context's log what was ignored. */
WarningCallback warn(const ContextState& context);

inline constexpr unsigned allow_shift = 16;
inline constexpr std::uint32_t allow_flags =
    BASIN_ALLOW_OPEN | BASIN_ALLOW_BACKING_IMAGE | BASIN_ALLOW_LOOP_DEVICE | BASIN_ALLOW_MOUNTED |
    BASIN_ALLOW_SNAPSHOT | BASIN_ALLOW_HOLDER | BASIN_ALLOW_VOLUME;

/** What BASIN_ALLOW_... say. */
inline BlockerKind allowed(std::uint32_t flags)
{
    return static_cast<BlockerKind>((flags & allow_flags) >> allow_shift);
}

} // namespace storage::capi
