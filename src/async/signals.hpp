// POSIX signals as awaitables.
#pragma once

#include <initializer_list>
#include <memory>

#include "async/async.hpp"

namespace tacit::async {

// SignalSet catches the given signals from construction to destruction, on one shard.
class SignalSet {
 public:
  SignalSet(asio::any_io_executor executor, std::initializer_list<int> signals);
  ~SignalSet();
  // The next signal's number. Errors: cancelled.
  Async<int> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tacit::async
