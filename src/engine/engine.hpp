// Engine: one sandboxed `tacit worker` process per loaded model, and the backends that talk to it.
//
// The front never touches what a model file controls: the file is opened here, and its descriptor
// is handed to the worker, which sandboxes itself before it reads a byte of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/runtime.hpp"
#include "core/log.hpp"
#include "core/unique_fd.hpp"
#include "domain/backend.hpp"
#include "engine/sandbox_report.hpp"

namespace tacit::engine {

// KvType is how the cache's keys and values are stored: 16 bits, about 8.5 or about 4.5 each.
enum class KvType : std::uint8_t { f16, q8_0, q4_0 };

struct WorkerOptions {
  std::string program;               // path of the tacit binary (runs `program worker`)
  domain::ModelInfo model;           // as the registry knows it; the worker completes it
  UniqueFd weights;                  // the GGUF file, opened for reading
  std::uint32_t context_tokens = 0;  // per sequence; 0: at most 4096, that fit
  std::uint32_t sequences_max = 0;   // running at once, sharing one batch; 0: at most 8, that fit
  std::uint32_t queue_max = 1024;    // waiting requests before Code::overloaded
  std::uint32_t threads = 0;         // 0: physical cores
  KvType kv_type = KvType::f16;
  std::uint64_t memory_bytes_max = 0;  // rlimit on address space; 0: none
  Seconds load_timeout{300};
};

// Worker is one worker process and one link to it per shard of the runtime: each shard's backend
// uses its own socket, so nothing is shared on the hot path.
class Worker {
 public:
  // Spawns the process and waits until the model is loaded. Call on a shard of `runtime`.
  // Errors: malformed/unsupported (the model file; what is wrong), unavailable (would not start),
  // deadline_exceeded, no memory as too_large.
  static Async<std::shared_ptr<Worker>> start(async::Runtime& runtime, Logger& log,
                                              WorkerOptions options);
  virtual ~Worker() = default;  // kills the process; running generations fail with worker_lost

  virtual const domain::ModelInfo& model() const noexcept = 0;
  virtual const SandboxReport& sandbox() const noexcept = 0;
  virtual pid_t pid() const noexcept = 0;
  // False once the process has ended; a new Worker must be started. Thread-safe.
  virtual bool alive() const noexcept = 0;
  // The backend of one shard; use it on that shard only. It keeps the worker alive.
  virtual std::shared_ptr<domain::Backend> backend(std::size_t shard_index) = 0;
  // Gauges for /metrics. Thread-safe.
  struct Stats {
    std::uint32_t running = 0;
    std::uint32_t waiting = 0;
    double kv_cache_usage = 0;  // 0..1
  };
  virtual Stats stats() const noexcept = 0;
  // Refuses new requests and waits for the running ones; then ends the process.
  virtual Task<> drain(Deadline deadline) = 0;
};

// worker_main is `tacit worker`: never returns to the caller's other duties; the exit status of the
// process. Descriptors: 3 is the weights, 4 the control socket, 5.. one data socket per shard (see
// protocol.hpp). `arguments` as Worker::start passes them.
int worker_main(const std::vector<std::string>& arguments);

// "llama.cpp v0.5.0, CPU: AVX2 AVX512 ..."; for `tacit version` and doctor.
std::string engine_description();

}  // namespace tacit::engine
