// The states of a request in the scheduler, and what leads from one to the next: the whole table.
//
//   waiting ──▶ running ⇄ stalled          waiting:   in line for a slot
//      ▲ │         ▲   │       │           following: owns a slot, waits for what another computes
//      │ └▶ following  │       │           running:   owns a slot, is in every batch
//      └─ parked ◀─────┼───────┘           stalled:   owns a slot, its reader is out of credit
//                      ▼                   parked:    gave its slot to one in line; keeps its
//                      tokens
//                  finishing               finishing: all computed, last text waits for credit
//
// From every state `ended` leads to done: cancelled, failed, past its deadline, or said to the end.
#pragma once

#include <cstdint>
#include <optional>

namespace tacit::engine {

enum class State : std::uint8_t { waiting, following, running, stalled, parked, finishing, done };

enum class Input : std::uint8_t {
  slot_given,      // it may compute
  slot_to_follow,  // it has a slot, and another computes the beginning
  leader_ready,    // that beginning is there, or the other has gone
  credit_out,      // its reader may not be sent anything now
  credit_in,       // it may again
  slot_lost,       // to somebody in line
  back_in_line,    // credit for a while has come
  all_computed,
  ended,
};

inline constexpr State kLastState = State::done;
inline constexpr Input kLastInput = Input::ended;

// next_state is where an input leads; nullopt: it cannot come in this state.
constexpr std::optional<State> next_state(State state, Input input) noexcept {
  if (state == State::done) return std::nullopt;
  if (input == Input::ended) return State::done;
  switch (state) {
    case State::waiting:
      if (input == Input::slot_given) return State::running;
      if (input == Input::slot_to_follow) return State::following;
      break;
    case State::following:
      if (input == Input::leader_ready) return State::running;
      break;
    case State::running:
      if (input == Input::credit_out) return State::stalled;
      if (input == Input::all_computed) return State::finishing;
      break;
    case State::stalled:
      if (input == Input::credit_in) return State::running;
      if (input == Input::slot_lost) return State::parked;
      break;
    case State::parked:
      if (input == Input::back_in_line) return State::waiting;
      break;
    case State::finishing:
    case State::done: break;
  }
  return std::nullopt;
}

// Whether a request in this state owns a slot.
constexpr bool owns_slot(State state) noexcept {
  return state == State::following || state == State::running || state == State::stalled;
}

}  // namespace tacit::engine
