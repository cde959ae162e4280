#include "registry/puller.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "async/wait.hpp"
#include "crypto/hash.hpp"
#include "registry/name.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr Milliseconds kProgressInterval{100};
constexpr Milliseconds kOtherProcessPoll{300};

// A partial file that only grows, for bytes without a promised digest.
class PlainWriter final : public store::BlobWriter {
 public:
  static Result<std::unique_ptr<store::BlobWriter>> open(const std::filesystem::path& path,
                                                         std::uint64_t size) {
    UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
      return fail(Error{Code::io, "cannot open the partial file"}
                      .with("errno", errno)
                      .about(PublicText{path.string()}));
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      return fail(Error{Code::unavailable, "another process is fetching this file"}.about(
          PublicText{path.string()}));
    }
    auto offset = static_cast<std::uint64_t>(info.st_size);
    if (offset > size && ::ftruncate(fd.get(), 0) == 0) offset = 0;
    const auto folder = std::filesystem::space(path.parent_path());
    if (size - std::min(offset, size) > folder.available) {
      return fail(Error{Code::no_space, "not enough space on the disk"}
                      .with("need", static_cast<std::int64_t>(size - offset))
                      .with("have", static_cast<std::int64_t>(folder.available))
                      .about(PublicText{path.string()})
                      .fix("Free some space, or choose another folder with TACIT_HOME"));
    }
    return std::unique_ptr<store::BlobWriter>{new PlainWriter{std::move(fd), path, offset}};
  }

  std::uint64_t offset() const override { return offset_; }
  Result<void> append(BytesView bytes) override {
    while (!bytes.empty()) {
      const auto n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const bool full = errno == ENOSPC || errno == EDQUOT;
        return fail(Error{full ? Code::no_space : Code::io, "cannot write the partial file"}
                        .with("errno", errno)
                        .about(PublicText{path_.string()}));
      }
      offset_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  Result<void> commit() override { return {}; }
  void discard() noexcept override { ::unlink(path_.c_str()); }

 private:
  PlainWriter(UniqueFd fd, std::filesystem::path path, std::uint64_t offset)
      : fd_{std::move(fd)}, path_{std::move(path)}, offset_{offset} {}

  UniqueFd fd_;  // carries the lock
  std::filesystem::path path_;
  std::uint64_t offset_;
};

}  // namespace

// Progress over all files of a plan.
class Puller::Meter {
 public:
  Meter(const ProgressHandler& handler, const PullPlan& plan) : handler_{handler} {
    for (const auto& file : plan.files) total_ += file.size_bytes;
  }
  void phase(Progress::Phase phase) {
    phase_ = phase;
    report();
  }
  void at(std::uint64_t bytes_of_file) {
    now_ = bytes_of_file;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ >= kProgressInterval) report();
  }
  void file_done(std::uint64_t size) {
    before_ += size;
    now_ = 0;
  }

 private:
  void report() {
    last_ = std::chrono::steady_clock::now();
    if (handler_) handler_({phase_, std::min(before_ + now_, total_), total_});
  }
  const ProgressHandler& handler_;
  Progress::Phase phase_ = Progress::Phase::resolving;
  std::uint64_t total_ = 0;
  std::uint64_t before_ = 0;
  std::uint64_t now_ = 0;
  SteadyTime last_{};
};

Async<std::unique_ptr<store::BlobWriter>> Puller::writer_for(const PlannedFile& file,
                                                             Deadline deadline) {
  while (true) {
    auto writer = store_.blobs().resume(*file.digest, file.size_bytes);
    if (writer) co_return writer;
    if (writer.error().code() == Code::already_exists) {
      co_return std::unique_ptr<store::BlobWriter>{};
    }
    if (writer.error().code() != Code::unavailable ||
        deadline.passed(std::chrono::steady_clock::now())) {
      co_return writer;
    }
    TACIT_CO_CHECK(co_await async::sleep_until(deadline.at_most(kOtherProcessPoll).when()));
  }
}

Async<void> Puller::fetch(const PlannedFile& file, std::uint64_t bytes_per_second, Meter& meter,
                          Deadline deadline) {
  // Bytes of an earlier attempt may have been bad; only a transfer from the start accuses a server.
  for (bool again = false;; again = true) {
    TACIT_CO_TRY(auto writer, co_await writer_for(file, deadline));
    if (writer == nullptr) co_return Result<void>{};
    const auto resumed_at = writer->offset();
    RangeDownload download{client_, file.mirrors, file.size_bytes, limits_, bytes_per_second, log_};
    const auto& current = *writer;
    meter.at(resumed_at);
    TACIT_CO_CHECK(co_await download.run(*writer, [&] { meter.at(current.offset()); }, deadline));
    auto committed = writer->commit();
    if (committed) {
      store_.remember_verified(*file.digest);
      co_return committed;
    }
    if (committed.error().code() != Code::corrupt) co_return committed;
    if (resumed_at == 0 || again) {
      co_return fail(
          Error{Code::corrupt, "what was downloaded does not have the promised SHA-256"}.about(
              printable(file.digest->with_prefix())));
    }
  }
}

Async<void> Puller::fetch_unpromised(PlannedFile& file, std::uint64_t bytes_per_second,
                                     Meter& meter, Deadline deadline) {
  const auto folder = store_.root() / "downloads";
  TACIT_CO_CHECK(store::make_folders(folder));
  const auto path = folder / crypto::sha256_hex(as_bytes(file.mirrors.front().url));
  {
    TACIT_CO_TRY(auto writer, PlainWriter::open(path, file.size_bytes));
    RangeDownload download{client_, file.mirrors, file.size_bytes, limits_, bytes_per_second, log_};
    const auto& current = *writer;
    TACIT_CO_CHECK(co_await download.run(*writer, [&] { meter.at(current.offset()); }, deadline));
  }
  meter.phase(Progress::Phase::verifying);
  TACIT_CO_TRY(auto staged, store::StagedBlob::from_file(store_.blobs(), path, {}));
  file.digest = staged.digest();
  TACIT_CO_TRY(const auto lock, store_.lock_shared());
  TACIT_CO_CHECK(staged.publish(store_.blobs()));
  ::unlink(path.c_str());
  store_.remember_verified(*file.digest);
  co_return Result<void>{};
}

Async<InstalledModel> Puller::pull(PullPlan plan, PullOptions options, ProgressHandler progress,
                                   Deadline deadline) {
  Meter meter{progress, plan};
  if (!options.name.empty()) plan.name = options.name;
  if (!is_model_name(plan.name)) {
    co_return fail(
        Error{Code::invalid_argument, "not a name that a model may have"}
            .about(printable(plan.name))
            .fix("Say --name: lower-case letters, digits, '.', '_', '-', as family:tag"));
  }
  meter.phase(Progress::Phase::downloading);
  for (auto& file : plan.files) {
    if (file.digest) {
      TACIT_CO_CHECK(co_await fetch(file, options.bytes_per_second, meter, deadline));
    } else {
      TACIT_CO_CHECK(co_await fetch_unpromised(file, options.bytes_per_second, meter, deadline));
    }
    meter.file_done(file.size_bytes);
  }
  meter.phase(Progress::Phase::verifying);
  const auto now = SystemClock{}.wall().time_since_epoch();
  InstalledModel model{.name = plan.name,
                       .title = plan.name,
                       .license = plan.license.empty() ? "unknown" : plan.license,
                       .size_bytes = plan.files.front().size_bytes,
                       .weights = *plan.files.front().digest,
                       .pulled_unix_s = std::chrono::duration_cast<Seconds>(now).count(),
                       .source = plan.source,
                       .pinned_by = options.pinned_by};
  for (std::size_t i = 1; i < plan.files.size(); ++i) {
    const auto& file = plan.files[i];
    model.files.push_back({file.role, file.size_bytes, *file.digest});
  }
  auto installed = store_.admit(std::move(model), options.replace);
  if (installed) meter.phase(Progress::Phase::done);
  co_return installed;
}

}  // namespace tacit::registry
