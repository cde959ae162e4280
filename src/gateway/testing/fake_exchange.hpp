// An HTTP exchange in memory, for tests.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "http/exchange.hpp"

namespace tacit::gateway::testing {

class FakeExchange final : public http::Exchange {
 public:
  FakeExchange(http::RequestHead head, std::string body)
      : head_{std::move(head)}, body_{std::move(body)} {}

  // After this many writes, the client is gone.
  std::size_t fail_writes_after = std::numeric_limits<std::size_t>::max();

  int status() const { return response_.status; }
  const std::string& body() const { return sent_; }
  bool finished() const { return finished_; }
  std::string header(std::string_view name) const {
    return std::string{response_.headers.find(name).value_or("")};
  }

  const http::RequestHead& request() const override { return head_; }
  http::Carrier carrier() const override { return http::Carrier::plain_loopback; }
  std::string_view id() const override { return "test"; }
  Deadline deadline() const override { return Deadline::never(); }
  Async<std::size_t> read_some(std::span<std::byte> into) override {
    const auto n = std::min(into.size(), body_.size() - read_);
    std::memcpy(into.data(), body_.data() + read_, n);
    read_ += n;
    co_return n;
  }
  Async<void> respond(http::ResponseHead head, BytesView body) override {
    response_ = std::move(head);
    sent_ = as_text(body);
    responded_ = true;
    co_return Result<void>{};
  }
  Async<void> start(http::ResponseHead head) override {
    response_ = std::move(head);
    responded_ = true;
    co_return Result<void>{};
  }
  Async<void> write(BytesView bytes) override {
    if (num_writes_++ >= fail_writes_after) co_return fail(Code::cancelled, "client left");
    sent_ += as_text(bytes);
    co_return Result<void>{};
  }
  Async<void> finish() override {
    finished_ = true;
    co_return Result<void>{};
  }
  bool responded() const override { return responded_; }

 private:
  http::RequestHead head_;
  std::string body_;
  std::size_t read_ = 0;
  http::ResponseHead response_;
  std::string sent_;
  std::size_t num_writes_ = 0;
  bool responded_ = false;
  bool finished_ = false;
};

}  // namespace tacit::gateway::testing
