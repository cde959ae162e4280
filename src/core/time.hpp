// Clocks and deadlines. Time is injected: nothing below `cli` reads a global clock.
#pragma once

#include <chrono>

namespace tacit {

using Nanoseconds = std::chrono::nanoseconds;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
using SteadyTime = std::chrono::steady_clock::time_point;  // for waiting and measuring
using WallTime = std::chrono::system_clock::time_point;    // for dates

// Clock tells the time. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime now() const = 0;
  virtual WallTime wall() const = 0;
};

// SystemClock is the real one.
class SystemClock final : public Clock {
 public:
  SteadyTime now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// ManualClock moves only when told; for tests. Not thread-safe.
class ManualClock final : public Clock {
 public:
  SteadyTime now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  void advance(Nanoseconds by) {
    now_ += std::chrono::duration_cast<SteadyTime::duration>(by);
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }
  // As when somebody sets the date: the steady clock goes on.
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  SteadyTime now_{std::chrono::hours{1}};
  WallTime wall_{std::chrono::seconds{1'800'000'000}};
};

// Deadline is the moment after which waiting must stop. Whatever waits takes one and passes it on.
class Deadline {
 public:
  // never() is for work bounded by something else: say by what where you use it.
  static constexpr Deadline never() noexcept { return Deadline{SteadyTime::max()}; }
  static Deadline at(SteadyTime when) noexcept { return Deadline{when}; }
  static Deadline after(Nanoseconds wait) noexcept {
    return Deadline{std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<SteadyTime::duration>(wait)};
  }

  // The earlier of this deadline and `wait` from now.
  Deadline at_most(Nanoseconds wait) const noexcept {
    const auto other = after(wait);
    return other.when_ < when_ ? other : *this;
  }
  bool is_never() const noexcept { return when_ == SteadyTime::max(); }
  bool passed(SteadyTime now) const noexcept { return now >= when_; }
  SteadyTime when() const noexcept { return when_; }

 private:
  constexpr explicit Deadline(SteadyTime when) noexcept : when_{when} {}
  SteadyTime when_;
};

}  // namespace tacit
