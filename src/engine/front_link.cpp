#include "engine/front_link.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace tacit::engine {
namespace {

domain::Event worker_lost() {
  return domain::Failed{Error{Code::worker_lost, "engine worker ended during the request"}};
}

// As the protocol says it: 0 is no limit.
std::uint32_t time_left_ms(Deadline deadline) {
  if (deadline.is_never()) return 0;
  const auto left =
      std::chrono::duration_cast<Milliseconds>(deadline.when() - std::chrono::steady_clock::now());
  constexpr Milliseconds::rep kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<Milliseconds::rep>(left.count(), 1, kMost));
}

}  // namespace

FrontLink::FrontLink(asio::io_context& io, UniqueFd socket, std::shared_ptr<WorkerState> worker)
    : executor_{io.get_executor()}, socket_{io, socket.release()}, worker_{std::move(worker)} {}

void FrontLink::begin() { wait_readable(); }

void FrontLink::wait_readable() {
  if (!socket_.is_open()) return;
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (!error) self->on_readable();
                     });
}

void FrontLink::on_readable() {
  if (const auto done = read_some(); !done) {
    if (done.error().code() != Code::unavailable && worker_->alive) {
      worker_->log.error("worker.protocol_violation", {{"code", done.error().code()}});
    }
    return close();
  }
  wait_readable();
}

Result<void> FrontLink::read_some() {
  const auto room = reader_.buffer();
  const auto n = ::read(socket_.native_handle(), room.data(), room.size());
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK) return {};
    return fail(Code::unavailable, "worker socket failed");
  }
  if (n == 0) return fail(Code::unavailable, "worker closed its end");
  reader_.filled(static_cast<std::size_t>(n));
  for (;;) {
    TACIT_TRY(const auto frame, reader_.next());
    if (!frame) return {};
    TACIT_TRY(auto update, decode_update(*frame));
    TACIT_CHECK(dispatch(std::move(update)));
  }
}

Result<void> FrontLink::dispatch(Update update) {
  const auto it = open_.find(update.id);
  if (it == open_.end()) return fail(Code::malformed, "event for an unknown request");
  const auto generation = it->second;
  if (std::holds_alternative<domain::Started>(update.event)) {
    if (generation->begun) return fail(Code::malformed, "started twice");
  } else if (domain::is_delta(update.event)) {
    if (!generation->begun) return fail(Code::malformed, "text before the start");
    if (generation->credit == 0) return fail(Code::malformed, "text without credit");
    --generation->credit;
  }
  generation->begun = true;
  if (domain::is_last(update.event)) {
    generation->ended = true;
    open_.erase(it);
    --worker_->in_flight;
  }
  if (!generation->abandoned) {
    generation->events.push_back(std::move(update.event));
    generation->ready.notify();
  }
  return {};
}

Result<std::shared_ptr<GenerationState>> FrontLink::start(domain::GenerateRequest request,
                                                          Deadline deadline) {
  if (!socket_.is_open()) return fail(Code::worker_lost, "engine worker has ended");
  auto generation = std::make_shared<GenerationState>(executor_, next_id_++);
  open_.emplace(generation->id, generation);
  ++worker_->in_flight;
  send(Generate{generation->id, kCreditWindow, std::move(request), time_left_ms(deadline)});
  return generation;
}

domain::EventBatch FrontLink::take(GenerationState& generation) {
  auto batch = std::exchange(generation.events, {});
  for (const auto& event : batch) generation.taken += domain::is_delta(event) ? 1 : 0;
  if (!generation.ended && generation.taken >= kCreditWindow / 2) {
    const auto deltas = std::exchange(generation.taken, 0u);
    generation.credit += deltas;
    send(Credit{generation.id, deltas});
  }
  return batch;
}

void FrontLink::abandon(GenerationState& generation) {
  generation.abandoned = true;
  generation.events.clear();
  if (!generation.ended) send(Cancel{generation.id});
}

void FrontLink::send(const Command& command) {
  if (!socket_.is_open()) return;
  out_.push(encode_command(command));
  if (!writing_) flush();
}

void FrontLink::flush() {
  // An error here means that the worker is gone; reading finds that out, in its own handler, so
  // that no caller's state changes under it.
  if (!socket_.is_open() || !out_.flush(socket_.native_handle())) return;
  writing_ = !out_.empty();
  if (!writing_) return;
  socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (!error) self->flush();
                     });
}

void FrontLink::close() noexcept {
  if (socket_.is_open()) {
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (!worker_->draining) worker_->give_up();  // a worker that drains ends by itself
  }
  fail_all();
}

void FrontLink::fail_all() {
  auto open = std::exchange(open_, {});
  for (auto& [id, generation] : open) {
    --worker_->in_flight;
    generation->ended = true;
    if (generation->abandoned) continue;
    generation->events.push_back(worker_lost());
    generation->ready.notify();
  }
}

}  // namespace tacit::engine
