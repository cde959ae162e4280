#include "engine/worker_links.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tacit::engine {
namespace {

constexpr Milliseconds kReportEvery{500};
constexpr std::size_t kControl = 0, kWake = 1, kFirstLink = 2;

std::unexpected<Error> broken(Literal what) { return fail(Code::malformed, what); }

}  // namespace

WorkerLinks::WorkerLinks(UniqueFd control, std::vector<UniqueFd> data, int wake, const Clock& clock)
    : control_{std::move(control)}, wake_{wake}, clock_{clock} {
  for (auto& fd : data) links_.emplace_back().fd = std::move(fd);
}

Result<void> WorkerLinks::notify(const Notice& notice) {
  control_out_.push(encode_notice(notice));
  return control_out_.flush(control_.get());
}

bool WorkerLinks::any_link() const noexcept {
  return std::ranges::any_of(links_, [](const Link& link) { return bool{link.fd}; });
}

// Fills ready_. False when there is nothing left to wait for.
bool WorkerLinks::wait() {
  std::vector<pollfd> fds;
  fds.push_back(
      {control_.get(), static_cast<short>(control_out_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
  fds.push_back({wake_, POLLIN, 0});
  for (const auto& link : links_) {
    fds.push_back({link.fd ? link.fd.get() : -1,
                   static_cast<short>(link.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
  }
  const auto left = std::chrono::duration_cast<Milliseconds>(next_report_ - clock_.now()).count();
  const auto n =
      ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<long>(left + 1, 0, 1000)));
  ready_.assign(fds.size(), 0);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  for (std::size_t i = 0; i < fds.size(); ++i) ready_[i] = fds[i].revents;
  return true;
}

void WorkerLinks::serve(EngineLoop& engine) {
  while (any_link() && wait()) {
    // Nothing is ever said to us on the control socket: readable means that the front is gone.
    if ((ready_[kControl] & (POLLIN | POLLHUP | POLLERR)) != 0) return;
    if (ready_[kWake] != 0) {
      std::uint64_t count = 0;
      static_cast<void>(::read(wake_, &count, sizeof count));
    }
    for (std::size_t i = 0; i < links_.size(); ++i) {
      const auto events = ready_[kFirstLink + i];
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_link(i, engine))
        close_link(i, engine);
    }
    forward_events(engine);
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (links_[i].fd && !links_[i].out.flush(links_[i].fd.get())) close_link(i, engine);
    }
    if (clock_.now() >= next_report_) report_load(engine);
    if (!control_out_.flush(control_.get())) return;
  }
}

Result<void> WorkerLinks::read_link(std::size_t index, EngineLoop& engine) {
  auto& link = links_[index];
  const auto room = link.reader.buffer();
  const auto n = ::read(link.fd.get(), room.data(), room.size());
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK) return {};
    return fail(Code::io, "socket read failed");
  }
  if (n == 0) return fail(Code::unavailable, "front closed its end");
  link.reader.filled(static_cast<std::size_t>(n));
  for (;;) {
    TACIT_TRY(const auto frame, link.reader.next());
    if (!frame) return {};
    TACIT_TRY(auto command, decode_command(*frame));
    TACIT_CHECK(handle(index, std::move(command), engine));
  }
}

Result<void> WorkerLinks::handle(std::size_t index, Command command, EngineLoop& engine) {
  auto& open = links_[index].open;
  if (auto* generate = std::get_if<Generate>(&command)) {
    if (open.contains(generate->id)) return broken("request id is in use");
    const auto key = next_key_++;
    auto mark = std::make_shared<RequestMark>();
    open.emplace(generate->id, key);
    owners_.emplace(key, Owner{index, generate->id, mark});
    const auto deadline =
        generate->time_ms == 0 ? SteadyTime::max() : clock_.now() + Milliseconds{generate->time_ms};
    engine.submit({key, generate->credit, std::move(generate->request), std::move(mark), deadline});
    return {};
  }
  const auto id = std::holds_alternative<Cancel>(command) ? std::get<Cancel>(command).id
                                                          : std::get<Credit>(command).id;
  const auto it = open.find(id);
  if (it == open.end()) return {};  // it has just ended; its last event is on the way
  if (const auto* credit = std::get_if<Credit>(&command)) {
    engine.add_credit(it->second, credit->deltas);
  } else {
    owners_.at(it->second).mark->cancelled = true;
    engine.cancel(it->second);
  }
  return {};
}

void WorkerLinks::forward_events(EngineLoop& engine) {
  for (auto& [key, event] : engine.take_events()) {
    const auto it = owners_.find(key);
    if (it == owners_.end()) continue;  // its link is gone
    const auto owner = it->second;
    auto& link = links_[owner.link];
    if (domain::is_last(event)) {
      link.open.erase(owner.id);
      owners_.erase(it);
    }
    link.out.push(encode_update({owner.id, std::move(event)}));
  }
}

void WorkerLinks::report_load(EngineLoop& engine) {
  next_report_ = clock_.now() + kReportEvery;
  const auto load = engine.load();
  const StatsReport report{load.running, load.waiting,
                           static_cast<float>(std::clamp(load.cache_usage, 0.0, 1.0))};
  const bool same = report.running == last_report_.running &&
                    report.waiting == last_report_.waiting &&
                    !(report.kv_cache_usage < last_report_.kv_cache_usage) &&
                    !(report.kv_cache_usage > last_report_.kv_cache_usage);
  if (same || !control_out_.empty()) return;
  last_report_ = report;
  control_out_.push(encode_notice(report));
}

void WorkerLinks::close_link(std::size_t index, EngineLoop& engine) {
  auto& link = links_[index];
  link.fd.reset();
  for (const auto& [id, key] : link.open) {
    if (const auto it = owners_.find(key); it != owners_.end()) {
      it->second.mark->cancelled = true;
      owners_.erase(it);
    }
    engine.cancel(key);
  }
  link = Link{};
}

}  // namespace tacit::engine
