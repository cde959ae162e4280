// The scheduler: continuous batching of many generations over one model. It knows nothing of
// llama.cpp or sockets, and of time only what it is told, so that thousands of random schedules can
// be tried in a second, and any of them again from its seed.
//
// sequence_state.hpp has the states of a request and all ways between them. Who is next for a slot
// is decided by fair_queue.hpp, between tenants and then by arrival.
//
// A running sequence has tokens (prompt, then generated) and a position: how many of them the model
// has in its cache. Prefill, decode and the way back from being parked are then one thing: decode
// what lies between the position and the end, a bounded piece per step, and sample when the end is
// reached.
//
// Whoever leaves a slot leaves in it what was computed, for later requests with the same salt (see
// prefix_cache.hpp). One that begins like another that is still in its prompt (the choices of one
// request) follows it: it waits for the common part and gets a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"
#include "engine/answer_parser.hpp"
#include "engine/fair_queue.hpp"
#include "engine/prefix_cache.hpp"
#include "engine/sequence_state.hpp"
#include "engine/text_assembler.hpp"

namespace tacit::engine {

using RequestKey = std::uint64_t;  // unique among the requests of this worker

// Sampler chooses tokens for one request and remembers what it chose.
class Sampler {
 public:
  virtual ~Sampler() = default;
};

struct BatchEntry {
  Slot slot = 0;
  Token token = 0;
  std::uint32_t position = 0;
  bool sample = false;  // logits are wanted
};

// StepModel is what the scheduler needs of a model. Used by one thread.
class StepModel {
 public:
  virtual ~StepModel() = default;
  virtual std::uint32_t num_slots() const = 0;
  virtual std::uint32_t context_tokens_max() const = 0;  // per slot
  virtual std::uint32_t batch_tokens_max() const = 0;    // >= num_slots()
  // Computes all entries in one pass. Errors: the slots in it are then to be cleared.
  virtual Result<void> decode(std::span<const BatchEntry> batch) = 0;
  // Samples after entry `index` of the last batch.
  virtual Result<Token> sample(Sampler& sampler, std::size_t index) = 0;
  // The log-probability of `token` there, and those of the `num_top` most likely.
  virtual domain::TokenLogprob logprob(std::size_t index, Token token, std::uint32_t num_top) = 0;
  // Forgets a slot's cache.
  virtual void clear(Slot slot) = 0;
  // Whether a slot can forget its end alone. Models with a state instead of a cache cannot.
  virtual bool can_truncate() const = 0;
  // Forgets all but the first `tokens` of a slot. False: it could not, and the slot is clear.
  virtual bool truncate(Slot slot, std::uint32_t tokens) = 0;
  // Makes `to`, which is clear, hold the first `tokens` of what `from` holds. False as above.
  virtual bool copy(Slot from, Slot to, std::uint32_t tokens) = 0;
  virtual bool is_end(Token token) const = 0;
  // The bytes of a token; valid until the next call.
  virtual std::string_view piece(Token token) = 0;
};

// Prompt is a request made ready for the model.
struct Prompt {
  std::vector<Token> tokens;  // at least one
  std::unique_ptr<Sampler> sampler;
  TextRules rules;
  std::uint32_t num_stops = 0;           // of rules.stops, the first ones, are the caller's own
  std::unique_ptr<AnswerParser> parser;  // null: the text is the answer, reasoning by its tags
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::uint32_t> logprobs;
  std::optional<domain::CacheSalt> cache_salt;  // unset: nothing is reused and nothing kept
  std::uint32_t tenant_weight = 1;
  SteadyTime deadline = SteadyTime::max();
  // What the request wanted; the scheduler itself only generates.
  domain::Purpose purpose = domain::Purpose::generate;
  domain::Content text;  // Purpose::render: the prompt
};

// EventSink receives the events of all requests, from within the scheduler's calls; it may not call
// back.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(RequestKey key, domain::Event event) = 0;
};

struct SchedulerOptions {
  std::uint32_t waiting_max = 256;
  std::size_t delta_bytes_max = 16 * 1024;
  // A stalled sequence gives way to one in line after this many steps without credit, so that
  // readers that pause for a moment are not made to pay for a second prefill.
  std::uint32_t stall_steps_max = 32;
  // Prompt tokens in a step that also carries running answers, which wait for the whole step: 512
  // made a stranger's long prompt give everybody else one token in 2.6 s instead of in 11 ms (two
  // cores, 135 million parameters). Without answers to wait, a step takes as many as fit.
  std::uint32_t prompt_tokens_beside_answers_max = 32;
  // A parked sequence comes back when it may send this many deltas.
  std::uint32_t resume_credit_min = 8;
  // Fewer tokens are not worth the copy of a slot, which costs as much as the whole slot is large.
  // 0: a sixty-fourth of the context.
  std::uint32_t copy_tokens_min = 0;
};

// Scheduler is used by one thread. Every submitted request ends with exactly one last event.
class Scheduler {
 public:
  Scheduler(StepModel& model, EventSink& sink, SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Puts a request in line; `credit` deltas may be sent. Refusals (queue full, prompt longer than
  // the context: both numbers) come as a Failed event. A full line is cleared first of the newest
  // request of the tenant that crowds it, if that has more than its share.
  void submit(RequestKey key, Prompt prompt, std::uint32_t credit);
  // Ends a request with Failed{cancelled} and frees what it held; unknown keys are ignored (it may
  // just have ended).
  void cancel(RequestKey key);
  void add_credit(RequestKey key, std::uint32_t deltas);

  // Ends those whose deadline has passed with Failed{deadline_exceeded}.
  void expire(SteadyTime now);
  // The earliest deadline of all.
  std::optional<SteadyTime> next_deadline() const;

  // Does one batch. Returns false when nothing can be done until submit(), cancel() or
  // add_credit().
  bool step();

  struct Load {
    std::uint32_t running = 0;  // with a slot, stalled ones too
    std::uint32_t waiting = 0;  // without, parked ones too
    double cache_usage = 0;     // [0, 1]
  };
  Load load() const noexcept;
  bool idle() const noexcept { return sequences_.empty(); }

 private:
  struct Sequence;
  using Sequences = std::map<RequestKey, std::unique_ptr<Sequence>>;

  static void move(Sequence& sequence, Input input);
  void enter_line(Sequence& sequence);
  void leave_line(Sequence& sequence);
  bool make_room_in_line(const Prompt& newcomer);
  void admit();
  bool free_a_slot();
  void start(Sequence& sequence);
  Slot clear_slot();
  Slot place(Sequence& sequence);
  Slot place_beside(Sequence& sequence, const PrefixCache::Match& match);
  const Sequence* leader_for(const Sequence& sequence, std::uint32_t more_than) const;
  std::uint32_t shared_with(const Sequence& other, const Sequence& sequence) const;
  void follow(Sequence& sequence);
  static void skip_to(Sequence& sequence, std::uint32_t tokens);
  void leave_slot(Sequence& sequence, bool keep);
  void compose();
  void add_to_batch(Sequence& sequence, std::uint32_t n);
  void fail_batch(const Error& error);
  void sample(Sequence& sequence, std::size_t index);
  void accept(Sequence& sequence, Token token);
  void begin_finish(Sequence& sequence, domain::FinishReason reason);
  static void enqueue(Sequence& sequence, domain::Event event, std::size_t bytes_max);
  void parse_ready(Sequence& sequence);
  std::optional<domain::Event> next_delta(Sequence& sequence);
  // Sends what is ready, as far as credit goes. True when the sequence ended and is gone.
  bool flush(Sequence& sequence);
  void end(Sequence& sequence, domain::Event last, bool keep = true);

  StepModel& model_;
  EventSink& sink_;
  SchedulerOptions options_;
  Sequences sequences_;
  std::map<std::uint64_t, Sequence*> waiting_;  // by arrival
  FairQueue line_;                              // the same ones: who is next
  std::set<std::pair<SteadyTime, RequestKey>> deadlines_;
  std::vector<Sequence*> slots_;  // null: free
  PrefixCache kept_;              // what free slots hold; the others are clear
  std::vector<BatchEntry> batch_;
  std::vector<Sequence*> batch_owner_;  // of each entry
  std::uint64_t arrivals_ = 0;
  std::uint32_t num_parked_ = 0;
};

}  // namespace tacit::engine
