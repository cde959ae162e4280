// Every blob hashed again. Part of registry/model_store.hpp.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "registry/model_store.hpp"

namespace tacit::registry {
namespace {

constexpr Seconds kLockPatience{30};
constexpr unsigned kThreadsMax = 16;

// What the threads of a check share.
class Hashing {
 public:
  Hashing(const store::BlobStore& blobs, std::vector<CheckedBlob>& work,
          const ModelStore::OnBytes& on_bytes)
      : blobs_{blobs}, work_{work}, on_bytes_{on_bytes} {
    for (const auto& blob : work) total_ += blob.size_bytes;
  }

  Result<void> run() {
    const auto threads = std::clamp<std::size_t>(
        work_.size(), 1, std::clamp(std::thread::hardware_concurrency(), 1u, kThreadsMax));
    {
      std::vector<std::jthread> pool;
      for (std::size_t i = 1; i < threads; ++i) pool.emplace_back([this] { work(); });
      work();
    }
    if (failed_) return fail(*failed_);
    return {};
  }

 private:
  void work() {
    while (true) {
      const auto i = next_.fetch_add(1);
      if (i >= work_.size()) return;
      auto& blob = work_[i];
      const auto fd = blobs_.open_blob(blob.digest);
      // Removed meanwhile by another process: nothing to say about it.
      if (!fd && fd.error().code() == Code::not_found) {
        blob.good = true;
        continue;
      }
      const auto found = fd ? hash_file(fd->get()) : fail(fd.error());
      const std::scoped_lock lock{mutex_};
      if (!found && !failed_) failed_ = found.error();
      blob.good = found && *found == blob.digest;
      done_ += blob.size_bytes;
      if (on_bytes_) on_bytes_(done_, total_);
    }
  }

  const store::BlobStore& blobs_;
  std::vector<CheckedBlob>& work_;
  const ModelStore::OnBytes& on_bytes_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  std::optional<Error> failed_;
};

}  // namespace

Result<StoreCheck> ModelStore::check(const std::vector<std::string>& names,
                                     const OnBytes& on_bytes) {
  std::vector<InstalledModel> models;
  for (const auto& name : names) {
    TACIT_TRY(auto model, find(name));
    models.push_back(std::move(model));
  }
  if (names.empty()) models = manifests_.list(*log_);
  StoreCheck check;
  std::map<std::string, CheckedBlob> wanted;
  const auto want = [&](const store::Digest& digest, std::uint64_t size, const std::string* model) {
    auto& blob = wanted
                     .try_emplace(digest.hex(), CheckedBlob{.digest = digest,
                                                            .models = {},
                                                            .size_bytes = size,
                                                            .good = false,
                                                            .quarantined = {}})
                     .first->second;
    if (model != nullptr) blob.models.push_back(*model);
  };
  for (const auto& model : models) {
    bool complete = blobs_->contains(model.weights);
    if (complete) want(model.weights, model.size_bytes, &model.name);
    for (const auto& file : model.files) {
      const bool there = blobs_->contains(file.digest);
      if (there) want(file.digest, file.size_bytes, &model.name);
      complete = complete && there;
    }
    if (!complete) check.incomplete.push_back(model.name);
  }
  if (names.empty()) {
    TACIT_TRY(const auto all, blobs_->list());
    std::error_code ignored;
    for (const auto& digest : all) {
      const auto size = std::filesystem::file_size(blobs_->path(digest), ignored);
      want(digest, ignored ? 0 : size, nullptr);
    }
  }
  for (auto& [hex, blob] : wanted) check.blobs.push_back(std::move(blob));
  // The largest first, so that no core is left with one at the end.
  std::ranges::sort(check.blobs, std::ranges::greater{}, &CheckedBlob::size_bytes);
  Hashing hashing{*blobs_, check.blobs, on_bytes};
  TACIT_CHECK(hashing.run());
  for (auto& blob : check.blobs) {
    if (blob.good) continue;
    verified_.forget(blob.digest);
    const auto lock = store::FolderLock::take(root_, store::FolderLock::Kind::exclusive,
                                              Deadline::after(kLockPatience));
    auto moved = lock ? blobs_->quarantine(blob.digest) : fail(lock.error());
    const bool is_moved = moved.has_value();
    if (is_moved) blob.quarantined = *std::move(moved);
    log_->error("registry.blob_corrupt",
                {{"digest", PublicText{blob.digest.with_prefix()}}, {"quarantined", is_moved}});
  }
  return check;
}

}  // namespace tacit::registry
