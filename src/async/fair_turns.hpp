// Private to async: fairness between the streams of a shard.
#pragma once

#include <cstdint>

namespace tacit::async {

// FairTurns counts operations in a row that never waited. Once in a while such an operation lets
// others run (see yield()), so that one fast peer cannot keep a shard to itself. Every stream has
// one for its reads and one for its writes.
class FairTurns {
 public:
  // Whether the operation that begins should let others run first.
  bool used_up() noexcept {
    if (++unwaited_ <= kUnwaitedMax) return false;
    unwaited_ = 0;
    return true;
  }
  // The operation waits, and whoever is ready runs anyway.
  void waits() noexcept { unwaited_ = 0; }

 private:
  static constexpr std::uint8_t kUnwaitedMax = 32;
  std::uint8_t unwaited_ = 0;
};

}  // namespace tacit::async
