// One file over HTTP into a blob writer: by range from where it is, again after failures, from one
// mirror after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "async/async.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "registry/registry.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// Where a file can be had. A header is sent to its own origin only.
struct RemoteFile {
  std::string url;
  std::string authorization;  // "Bearer ...", "Basic ..." or ""
};

// RangeDownload appends to a writer, whose digest decides in the end; servers are only transport.
// Belongs to the shard of `client`.
class RangeDownload {
 public:
  // `client` and `log` outlive it. `size_bytes` is what the file must have; `bytes_per_second` 0
  // is no limit.
  RangeDownload(http::Client& client, std::vector<RemoteFile> mirrors, std::uint64_t size_bytes,
                const TransferLimits& limits, std::uint64_t bytes_per_second, Logger& log);

  // Errors: not_found, forbidden, unavailable, corrupt (another size), cancelled,
  // deadline_exceeded, and the writer's.
  Async<void> run(store::BlobWriter& writer, std::function<void()> progress, Deadline deadline);

 private:
  Async<void> attempt(const RemoteFile& mirror, store::BlobWriter& writer,
                      const std::function<void()>& progress, Deadline deadline);
  Async<void> keep_to_limit(std::size_t bytes, Deadline deadline);

  http::Client& client_;
  std::vector<RemoteFile> mirrors_;
  std::uint64_t size_bytes_;
  TransferLimits limits_;
  std::uint64_t bytes_per_second_;
  Logger& log_;
  SteadyTime paid_until_{};  // when the bytes so far may have arrived under the limit
};

// What an answer's status means for a file that is wanted.
Error status_error(int status);

}  // namespace tacit::registry
