// The worker's end of its sockets: one poll loop over the control socket and a data socket per
// shard of the front. poll, read, writev and an eventfd are all it needs of the kernel, which keeps
// the sandbox's list of calls short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"
#include "core/unique_fd.hpp"
#include "engine/engine_loop.hpp"
#include "engine/outgoing.hpp"
#include "engine/protocol.hpp"

namespace tacit::engine {

// WorkerLinks serves the front until it goes away. Used by one thread.
class WorkerLinks {
 public:
  // `wake` is an eventfd that the engine's threads write to.
  WorkerLinks(UniqueFd control, std::vector<UniqueFd> data, int wake, const Clock& clock);

  // Sends a notice at once, or fails: the socket is empty at the start. Errors: io.
  Result<void> notify(const Notice& notice);
  // Serves until the control socket or every data socket has ended.
  void serve(EngineLoop& engine);

 private:
  struct Link {
    UniqueFd fd;
    FrameReader reader{ProtocolLimits::request_frame_bytes_max};
    Outgoing out;
    std::map<RequestId, RequestKey> open;
  };
  struct Owner {
    std::size_t link;
    RequestId id;
    std::shared_ptr<RequestMark> mark;
  };

  bool wait();
  Result<void> read_link(std::size_t index, EngineLoop& engine);
  Result<void> handle(std::size_t index, Command command, EngineLoop& engine);
  void forward_events(EngineLoop& engine);
  void report_load(EngineLoop& engine);
  void close_link(std::size_t index, EngineLoop& engine);
  bool any_link() const noexcept;

  UniqueFd control_;
  Outgoing control_out_;
  std::vector<Link> links_;
  int wake_;
  const Clock& clock_;
  std::map<RequestKey, Owner> owners_;
  RequestKey next_key_ = 1;
  SteadyTime next_report_{};
  StatsReport last_report_;
  std::vector<short> ready_;  // poll's answer: control, wake, links
};

}  // namespace tacit::engine
