// What writers that died have left behind. A writer holds a lock (flock) on its file, which the
// kernel drops with it, however it ends: an old file without a lock belongs to nobody.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string_view>

#include "core/time.hpp"

namespace tacit::store {

// remove_abandoned deletes the regular files in `folder` whose names `is_leftover` accepts, that
// were last written before `before`, and that no process holds locked. Returns how many. It is a
// courtesy and never fails: what cannot be removed stays. Thread-safe; safe while other processes
// write, resume and sweep the same files.
std::size_t remove_abandoned(const std::filesystem::path& folder, WallTime before,
                             const std::function<bool(std::string_view name)>& is_leftover);

}  // namespace tacit::store
