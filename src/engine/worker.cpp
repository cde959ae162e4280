// `tacit worker`: the process around one model.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "engine/engine.hpp"
#include "engine/engine_loop.hpp"
#include "engine/machine_memory.hpp"
#include "engine/model.hpp"
#include "engine/protocol.hpp"
#include "engine/sandbox.hpp"
#include "engine/worker_links.hpp"
#include "engine/worker_options.hpp"

namespace tacit::engine {
namespace {

enum ExitStatusCode : int {
  kDone = 0,
  kBadArguments = 64,
  kNoSandbox = 65,
  kNotLoaded = 66,
  kFrontGone = 67
};

// The front decides when we end: it closes our sockets. A terminal's Ctrl-C and a service manager's
// SIGTERM go to the whole group, and must not cut off the answers that the front is still draining.
// Writes to a closed socket and to files (none may grow) are to be errors.
void ignore_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ})
    std::signal(signal, SIG_IGN);
}

bool make_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

// What libraries print can carry content, so it goes nowhere.
bool silence_output() {
  const UniqueFd null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  return null && ::dup2(null.get(), STDOUT_FILENO) >= 0 && ::dup2(null.get(), STDERR_FILENO) >= 0;
}

int run_sandbox_selftest() {
  int escaped = 0;
  for (const auto& escape : try_to_escape()) {
    std::printf("%-18.*s %s (errno %d)\n", static_cast<int>(escape.name.size()), escape.name.data(),
                escape.denied ? "denied" : "ESCAPED", escape.error);
    escaped += escape.denied ? 0 : 1;
  }
  std::fflush(stdout);
  return escaped;
}

int serve_model(Model& model, WorkerLinks& links, int wake, const WorkerArguments& arguments,
                const Clock& clock) {
  const auto ready =
      links.notify(Ready{model.context_tokens_max(), model.num_slots(), model.size_bytes()});
  if (!ready) return kFrontGone;
  EngineLoop engine{model,
                    {.waiting_max = arguments.queue_max},
                    [wake] {
                      const std::uint64_t one = 1;
                      static_cast<void>(::write(wake, &one, sizeof one));
                    },
                    clock};
  links.serve(engine);
  return kDone;
}

}  // namespace

int worker_main(const std::vector<std::string>& command_line) {
  const auto arguments = parse_worker_arguments(command_line);
  if (!arguments) return kBadArguments;
  ignore_signals();
  UniqueFd weights{kWeightsDescriptor};
  UniqueFd control{kControlDescriptor};
  std::vector<UniqueFd> data;
  const int end = kFirstDataDescriptor + static_cast<int>(arguments->shards);
  for (int fd = kFirstDataDescriptor; fd < end; ++fd) data.emplace_back(fd);
  close_stray_descriptors(end);
  bool usable = ::fcntl(weights.get(), F_GETFD) >= 0 && make_nonblocking(control.get());
  for (const auto& fd : data) usable = usable && make_nonblocking(fd.get());
  const UniqueFd wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  if (!usable || !wake) return kBadArguments;
  const auto threads = arguments->threads > 0 ? arguments->threads : default_threads();
  if (!arguments->sandbox_selftest && !silence_output()) return kBadArguments;
  initialize_llama();

  const SystemClock clock;
  const auto memory = usable_memory_bytes();  // reads what the sandbox hides
  WorkerLinks links{std::move(control), std::move(data), wake.get(), clock};
  const auto sandbox = enter_sandbox({.memory_bytes_max = arguments->memory_bytes_max,
                                      .data_bytes_max = memory,
                                      .descriptors_max = static_cast<unsigned>(end) + 8});
  if (!sandbox) {
    static_cast<void>(links.notify(LoadFailed{sandbox.error()}));
    return kNoSandbox;
  }
  if (!links.notify(Hello{kProtocolVersion, *sandbox})) return kFrontGone;
  auto model = Model::load(std::move(weights), {.context_tokens = arguments->context_tokens,
                                                .sequences_max = arguments->sequences_max,
                                                .memory_bytes = memory,
                                                .threads = threads,
                                                .kv_type = arguments->kv_type,
                                                .tune_threads = arguments->threads == 0});
  if (!model) {
    static_cast<void>(links.notify(LoadFailed{model.error()}));
    return kNotLoaded;
  }
  if (arguments->sandbox_selftest) return run_sandbox_selftest();
  return serve_model(**model, links, wake.get(), *arguments, clock);
}

}  // namespace tacit::engine
