// One downloader for every kind of source: a plan in, an installed model out.
#pragma once

#include <memory>
#include <string>

#include "async/async.hpp"
#include "registry/model_store.hpp"
#include "registry/pull_plan.hpp"

namespace tacit::registry {

struct PullOptions {
  std::string name;                    // "": the plan's
  std::string pinned_by;               // for the manifest
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  bool replace = false;                // a name that stands for other weights
};

// Puller belongs to one shard of a program that does nothing else meanwhile: it waits for the
// store's lock on its thread.
class Puller {
 public:
  // All outlive it. `http` has TLS set up.
  Puller(http::Client& client, const TransferLimits& limits, ModelStore& store, Logger& log)
      : client_{client}, limits_{limits}, store_{store}, log_{log} {}

  // Fetches what is missing, verifying while it arrives, and installs the model. Killed, the next
  // attempt goes on at the byte that was written last. Errors: those of RangeDownload and of
  // ModelStore::admit(); corrupt (other bytes than promised).
  Async<InstalledModel> pull(PullPlan plan, PullOptions options, ProgressHandler progress,
                             Deadline deadline);

 private:
  class Meter;
  Async<void> fetch(const PlannedFile& file, std::uint64_t bytes_per_second, Meter& meter,
                    Deadline deadline);
  // A file whose digest nobody promised: kept apart until it is known.
  Async<void> fetch_unpromised(PlannedFile& file, std::uint64_t bytes_per_second, Meter& meter,
                               Deadline deadline);
  Async<std::unique_ptr<store::BlobWriter>> writer_for(const PlannedFile& file, Deadline deadline);

  http::Client& client_;
  const TransferLimits& limits_;
  ModelStore& store_;
  Logger& log_;
};

}  // namespace tacit::registry
