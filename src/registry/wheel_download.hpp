// One file out of one wheel of a Python package index, by as little transfer as the server allows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "async/async.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "registry/registry.hpp"
#include "registry/url.hpp"
#include "registry/zip.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// WheelDownload reads a file from a wheel: by range where the server can (the archive's end, the
// directory, then the file alone, and after an interruption only what is missing), else from the
// archive's first byte on. It goes on after failures as TransferLimits says. What arrives is not
// trusted: the writer's digest decides. Belongs to the shard of `client`.
class WheelDownload {
 public:
  // `client` and `log` outlive the download.
  WheelDownload(http::Client& client, IndexUrl index, const Source& source,
                std::uint64_t size_bytes, const TransferLimits& limits, Logger& log);

  // Appends the file's bytes from writer.offset() on until it has all `size_bytes`.
  // Errors: not_found (project, version or file), unavailable, malformed, unsupported, forbidden,
  // cancelled, deadline_exceeded, and the writer's.
  Async<void> run(store::BlobWriter& writer, std::function<void()> progress, Deadline deadline);

 private:
  // Where the file is in the archive.
  struct Place {
    ZipEntry entry;
    std::uint64_t data_offset = 0;
  };
  using ResponsePtr = std::unique_ptr<http::Response>;

  Async<void> attempt(store::BlobWriter& writer, const std::function<void()>& progress,
                      Deadline deadline);
  Async<void> find_wheel(Deadline deadline);
  Async<void> find_place(std::uint64_t archive_bytes, Deadline deadline);
  Async<void> read_file(store::BlobWriter& writer, const std::function<void()>& progress,
                        Deadline deadline);
  Async<void> read_archive(ResponsePtr response, store::BlobWriter& writer,
                           const std::function<void()>& progress, Deadline deadline);
  Async<ResponsePtr> get(const std::string& url, const std::string& accept,
                         const std::string& range, Deadline deadline);
  Async<ResponsePtr> get_range(std::uint64_t first, std::uint64_t size, Deadline deadline);
  Async<Bytes> read_range(std::uint64_t first, std::uint64_t size, Deadline deadline);
  Error about_source(Error error) const;

  http::Client& client_;
  IndexUrl index_;
  const Source& source_;
  std::uint64_t size_bytes_;
  TransferLimits limits_;
  Logger& log_;
  std::string wheel_url_;
  std::optional<Place> place_;
};

}  // namespace tacit::registry
