#include "engine/scheduler.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <utility>

#include "core/secret.hpp"
#include "core/text.hpp"

namespace tacit::engine {
namespace {

// Token ids are content as much as the text they stand for.
void wipe_tokens(std::vector<Token>& tokens) noexcept {
  wipe(std::as_writable_bytes(std::span{tokens}));
  tokens.clear();
}

}  // namespace

struct Scheduler::Sequence {
  Sequence(RequestKey k, std::uint64_t at, Prompt prompt, std::uint32_t deltas)
      : key{k},
        arrival{at},
        tokens{std::move(prompt.tokens)},
        num_prompt{static_cast<std::uint32_t>(tokens.size())},
        sampler{std::move(prompt.sampler)},
        text{std::move(prompt.rules)},
        num_stops{prompt.num_stops},
        parser{std::move(prompt.parser)},
        max_tokens{prompt.max_tokens},
        logprobs_wanted{prompt.logprobs},
        salt{prompt.cache_salt},
        weight{prompt.tenant_weight},
        deadline{prompt.deadline},
        credit{deltas},
        credit_window{deltas} {}
  ~Sequence() { wipe_tokens(tokens); }
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  std::uint32_t num_generated() const noexcept {
    return static_cast<std::uint32_t>(tokens.size()) - num_prompt + num_ends;
  }
  std::uint32_t num_pending() const noexcept {
    return static_cast<std::uint32_t>(tokens.size()) - position;
  }
  // What another may have computed: all but the last token, whose outcome is wanted.
  std::span<const Token> reusable() const noexcept {
    return std::span{tokens}.first(tokens.size() - 1);
  }

  RequestKey key;
  std::uint64_t arrival;
  State state = State::waiting;
  std::vector<Token> tokens;
  std::uint32_t num_prompt;
  std::uint32_t position = 0;
  std::unique_ptr<Sampler> sampler;
  TextAssembler text;
  std::uint32_t num_stops;
  std::unique_ptr<AnswerParser> parser;
  std::deque<domain::Event> parsed;  // by the parser, not yet sent
  std::uint32_t num_unparsed = 0;    // tokens of which the parser has said nothing yet
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::uint32_t> logprobs_wanted;
  std::vector<domain::TokenLogprob> logprobs;  // not yet sent
  TenantKey salt;
  std::uint32_t weight;
  SteadyTime deadline;
  std::uint32_t num_charged = 0;     // tokens that its tenant was charged for, from the first
  std::uint32_t num_cached = 0;      // of the prompt, that need not be computed
  std::optional<RequestKey> leader;  // computes the first tokens for this one too
  std::uint32_t num_led = 0;         // so many
  std::uint32_t credit;
  std::uint32_t credit_window;  // what was granted at the start: more may never be there at once
  std::uint32_t num_ends = 0;   // the end token, which is counted but not kept
  std::uint32_t stalled_steps = 0;
  std::optional<Slot> slot;
  bool started = false;
  domain::FinishReason reason = domain::FinishReason::stop;
};

namespace {

// How many tokens' log-probabilities travel with one piece of text.
constexpr std::size_t kDeltaLogprobs = 8;

domain::Content& text_of(domain::Event& event) {
  if (auto* text = std::get_if<domain::TextDelta>(&event)) return text->text;
  if (auto* reasoning = std::get_if<domain::ReasoningDelta>(&event)) return reasoning->text;
  return std::get<domain::ToolCallDelta>(event).arguments;
}

domain::Event piece_of(const domain::Event& event, std::string_view text, bool first,
                       std::uint32_t num_tokens) {
  if (std::holds_alternative<domain::TextDelta>(event))
    return domain::TextDelta{domain::Content{text}, num_tokens};
  if (std::holds_alternative<domain::ReasoningDelta>(event))
    return domain::ReasoningDelta{domain::Content{text}, num_tokens};
  const auto& call = std::get<domain::ToolCallDelta>(event);
  if (!first) return domain::ToolCallDelta{call.index, {}, {}, domain::Content{text}, num_tokens};
  return domain::ToolCallDelta{call.index, call.id, call.name, domain::Content{text}, num_tokens};
}

}  // namespace

// Puts a parsed event in line, in pieces of at most `bytes_max`.
void Scheduler::enqueue(Sequence& sequence, domain::Event event, std::size_t bytes_max) {
  auto rest = text_of(event).reveal();
  bool first = true;
  do {
    auto n = utf8_complete_prefix(rest.substr(0, std::min(rest.size(), bytes_max)));
    if (n == 0) n = rest.size();  // no character: the parser gives none such
    const auto num_tokens = std::exchange(sequence.num_unparsed, 0u);
    sequence.parsed.push_back(piece_of(event, rest.substr(0, n), first, num_tokens));
    rest.remove_prefix(n);
    first = false;
  } while (!rest.empty());
}

Scheduler::Scheduler(StepModel& model, EventSink& sink, SchedulerOptions options)
    : model_{model},
      sink_{sink},
      options_{options},
      slots_(model.num_slots(), nullptr),
      kept_{model.num_slots()} {
  if (options_.copy_tokens_min == 0)
    options_.copy_tokens_min = std::max(1u, model.context_tokens_max() / 64);
}

Scheduler::~Scheduler() = default;

void Scheduler::submit(RequestKey key, Prompt prompt, std::uint32_t credit) {
  const auto refuse = [&](Error error) { sink_.on_event(key, domain::Failed{std::move(error)}); };
  if (prompt.tokens.empty()) return refuse(Error{Code::invalid_argument, "prompt is empty"});
  const auto limit = model_.context_tokens_max();
  if (prompt.tokens.size() > limit) {
    return refuse(Error{Code::context_exceeded, "prompt does not fit the model's context"}
                      .with("tokens", static_cast<std::int64_t>(prompt.tokens.size()))
                      .with("limit", limit));
  }
  const auto num_free = static_cast<std::size_t>(std::ranges::count(slots_, nullptr));
  if (waiting_.size() >= options_.waiting_max + num_free && !make_room_in_line(prompt)) {
    return refuse(Error{Code::overloaded, "engine queue is full"}
                      .with("waiting", static_cast<std::int64_t>(waiting_.size()))
                      .with("limit", options_.waiting_max));
  }
  auto made = std::make_unique<Sequence>(key, arrivals_++, std::move(prompt), credit);
  enter_line(*made);
  if (made->deadline != SteadyTime::max()) deadlines_.emplace(made->deadline, key);
  sequences_.emplace(key, std::move(made));
}

void Scheduler::move(Sequence& sequence, Input input) {
  const auto next = next_state(sequence.state, input);
  if (!next) std::abort();  // a bug: the table has no such way
  sequence.state = *next;
}

void Scheduler::enter_line(Sequence& sequence) {
  waiting_.emplace(sequence.arrival, &sequence);
  line_.push(sequence.salt, sequence.weight, sequence.arrival);
}

void Scheduler::leave_line(Sequence& sequence) {
  waiting_.erase(sequence.arrival);
  line_.remove(sequence.salt, sequence.arrival);
}

// Whoever has begun to answer stays.
bool Scheduler::make_room_in_line(const Prompt& newcomer) {
  const auto arrival = line_.crowding(newcomer.cache_salt, newcomer.tenant_weight);
  if (!arrival || waiting_.at(*arrival)->started) return false;
  end(*waiting_.at(*arrival),
      domain::Failed{Error{Code::overloaded, "engine queue is full"}
                         .with("waiting", static_cast<std::int64_t>(waiting_.size()))
                         .with("limit", options_.waiting_max)});
  return true;
}

void Scheduler::expire(SteadyTime now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto it = sequences_.find(deadlines_.begin()->second);
    end(*it->second,
        domain::Failed{Error{Code::deadline_exceeded, "the generation took too long"}});
  }
}

std::optional<SteadyTime> Scheduler::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void Scheduler::cancel(RequestKey key) {
  const auto it = sequences_.find(key);
  if (it == sequences_.end()) return;
  end(*it->second, domain::Failed{Error{Code::cancelled, "generation cancelled"}});
}

void Scheduler::add_credit(RequestKey key, std::uint32_t deltas) {
  const auto it = sequences_.find(key);
  if (it == sequences_.end()) return;
  auto& sequence = *it->second;
  sequence.credit += std::min(deltas, ~0u - sequence.credit);
  if (flush(sequence) || sequence.credit == 0) return;
  if (sequence.state == State::stalled) {
    move(sequence, Input::credit_in);
    sequence.stalled_steps = 0;
    return;
  }
  const auto enough =
      std::min(options_.resume_credit_min, std::max(1u, sequence.credit_window / 2));
  if (sequence.state == State::parked && sequence.credit >= enough) {
    move(sequence, Input::back_in_line);
    enter_line(sequence);
    --num_parked_;
  }
}

bool Scheduler::step() {
  admit();
  compose();
  if (batch_.empty()) return false;
  if (auto decoded = model_.decode(batch_); !decoded) {
    fail_batch(decoded.error());
    return true;
  }
  for (auto* sequence : slots_) {
    if (sequence != nullptr && sequence->state == State::stalled) ++sequence->stalled_steps;
  }
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    auto& owner = *batch_owner_[i];
    if (++owner.position > owner.num_charged) {
      line_.charge(owner.salt, 1);
      owner.num_charged = owner.position;
    }
    if (batch_[i].sample) sample(*batch_owner_[i], i);
  }
  return true;
}

void Scheduler::sample(Sequence& sequence, std::size_t index) {
  const auto token = model_.sample(*sequence.sampler, index);
  if (!token) return end(sequence, domain::Failed{token.error()});
  if (sequence.logprobs_wanted && !model_.is_end(*token))
    sequence.logprobs.push_back(model_.logprob(index, *token, *sequence.logprobs_wanted));
  accept(sequence, *token);
}

// Fills free slots from the line; makes room by parking when nobody leaves by himself.
void Scheduler::admit() {
  while (!waiting_.empty()) {
    if (std::ranges::find(slots_, nullptr) == slots_.end() && !free_a_slot()) return;
    auto& next = *waiting_.at(line_.next().value_or(0));
    leave_line(next);
    start(next);
  }
}

// Parks the sequence that has been stalled for longest, if that is long enough or nobody else could
// run meanwhile.
bool Scheduler::free_a_slot() {
  Sequence* longest = nullptr;
  bool somebody_runs = false;
  for (auto* sequence : slots_) {
    if (sequence->state != State::stalled)
      somebody_runs = true;
    else if (longest == nullptr || sequence->stalled_steps > longest->stalled_steps)
      longest = sequence;
  }
  if (longest == nullptr || (somebody_runs && longest->stalled_steps < options_.stall_steps_max))
    return false;
  leave_slot(*longest, true);
  move(*longest, Input::slot_lost);
  ++num_parked_;
  return true;
}

void Scheduler::start(Sequence& sequence) {
  sequence.position = 0;
  const auto slot = place(sequence);
  slots_[slot] = &sequence;
  sequence.slot = slot;
  move(sequence, sequence.leader ? Input::slot_to_follow : Input::slot_given);
  sequence.stalled_steps = 0;
  // The prompt is charged as a whole, before the next is chosen; what is generated, as it comes.
  const auto computed = sequence.leader ? sequence.num_led : sequence.position;
  sequence.num_charged = static_cast<std::uint32_t>(sequence.tokens.size());
  line_.charge(sequence.salt, sequence.num_charged - computed);
  if (sequence.started) return;
  sequence.started = true;
  // Room for all that can come, so that no outgrown copy of the tokens stays behind.
  const std::size_t room = model_.context_tokens_max() + 1;
  const auto wanted =
      sequence.max_tokens ? std::min(room, sequence.tokens.size() + *sequence.max_tokens) : room;
  std::vector<Token> tokens;
  tokens.reserve(std::max(wanted, sequence.tokens.size()));
  tokens.assign(sequence.tokens.begin(), sequence.tokens.end());
  wipe_tokens(sequence.tokens);
  sequence.tokens = std::move(tokens);
  sink_.on_event(sequence.key, domain::Started{sequence.num_prompt});
  if (sequence.max_tokens == 0u) begin_finish(sequence, domain::FinishReason::length);
}

// A free slot that is clear, if need be at the cost of what one has kept. There is a free one.
Slot Scheduler::clear_slot() {
  std::optional<Slot> clear;
  for (Slot slot = 0; slot < slots_.size() && !clear; ++slot)
    if (slots_[slot] == nullptr && !kept_.holds(slot)) clear = slot;
  if (clear) return *clear;
  const auto slot = kept_.victim().value_or(0);
  kept_.drop(slot);
  model_.clear(slot);
  return slot;
}

// Chooses the free slot that a sequence is to run in, and lets it begin behind what is there.
Slot Scheduler::place(Sequence& sequence) {
  sequence.leader.reset();
  if (!sequence.salt || sequence.tokens.size() < 2) return clear_slot();
  const auto match = kept_.find(*sequence.salt, sequence.reusable(), !model_.can_truncate());
  const auto* leader =
      sequence.max_tokens == 0u ? nullptr : leader_for(sequence, match ? match->tokens : 0);
  if (leader != nullptr) {
    sequence.leader = leader->key;
    sequence.num_led = shared_with(*leader, sequence);
    return clear_slot();
  }
  if (!match) return clear_slot();
  if (!match->whole && match->tokens >= options_.copy_tokens_min)
    return place_beside(sequence, *match);
  kept_.drop(match->slot);
  if (match->whole || model_.truncate(match->slot, match->tokens)) skip_to(sequence, match->tokens);
  return match->slot;
}

// Leaves the kept slot as it is and works on a copy, when a clear slot is there or an older one of
// the same tenant can make room; else goes on in the slot itself.
Slot Scheduler::place_beside(Sequence& sequence, const PrefixCache::Match& match) {
  bool clear = false;
  for (Slot slot = 0; slot < slots_.size(); ++slot)
    clear = clear || (slots_[slot] == nullptr && !kept_.holds(slot));
  const auto victim = kept_.victim();
  const bool own = victim && *victim != match.slot && kept_.is_of(*victim, *sequence.salt);
  if (!clear && !own) {
    kept_.drop(match.slot);
    if (model_.truncate(match.slot, match.tokens)) skip_to(sequence, match.tokens);
    return match.slot;
  }
  const auto slot = clear_slot();
  if (model_.copy(match.slot, slot, match.tokens)) skip_to(sequence, match.tokens);
  return slot;
}

// How much of `sequence` the other has computed, or will have at the end of its prefill.
std::uint32_t Scheduler::shared_with(const Sequence& other, const Sequence& sequence) const {
  const auto sure = other.num_pending() > 1 ? other.tokens.size() : other.position;
  return common_prefix(std::span{other.tokens}.first(sure), sequence.reusable());
}

// The running sequence of the same tenant that shares most with this one, if that is worth a copy.
const Scheduler::Sequence* Scheduler::leader_for(const Sequence& sequence,
                                                 std::uint32_t more_than) const {
  if (!model_.can_truncate()) return nullptr;
  const Sequence* best = nullptr;
  auto most = more_than + options_.copy_tokens_min - 1;
  for (const auto* other : slots_) {
    if (other == nullptr || other->salt != sequence.salt) continue;
    const auto n = shared_with(*other, sequence);
    if (n <= most) continue;
    best = other;
    most = n;
  }
  return best;
}

// Copies from the leader what it has computed for both; when it has left, from what it left.
void Scheduler::follow(Sequence& sequence) {
  const auto it = sequences_.find(*sequence.leader);
  if (it != sequences_.end() && it->second->slot) {
    const auto& leader = *it->second;
    if (leader.position < sequence.num_led) return;
    if (model_.copy(*leader.slot, *sequence.slot, sequence.num_led))
      skip_to(sequence, sequence.num_led);
  } else if (const auto match = kept_.find(*sequence.salt, sequence.reusable());
             match && match->tokens >= options_.copy_tokens_min) {
    if (model_.copy(match->slot, *sequence.slot, match->tokens)) skip_to(sequence, match->tokens);
  }
  sequence.leader.reset();
  move(sequence, Input::leader_ready);
}

void Scheduler::skip_to(Sequence& sequence, std::uint32_t tokens) {
  sequence.position = tokens;
  if (sequence.num_generated() == 0) sequence.num_cached = tokens;
}

// Gives the slot up. `keep`: what it holds is sound, and may be used by the same tenant.
void Scheduler::leave_slot(Sequence& sequence, bool keep) {
  if (!sequence.slot) return;
  const auto slot = *sequence.slot;
  slots_[slot] = nullptr;
  sequence.slot.reset();
  if (keep && sequence.salt && sequence.position > 0)
    return kept_.keep(slot, *sequence.salt, std::span{sequence.tokens}.first(sequence.position));
  model_.clear(slot);
}

// One token of every sequence that generates; what room is left is shared by those that prefill: an
// equal part each, and the rest to the oldest.
void Scheduler::compose() {
  batch_.clear();
  batch_owner_.clear();
  std::vector<Sequence*> prefilling;
  for (auto* sequence : slots_) {
    if (sequence == nullptr) continue;
    if (sequence->state == State::following) follow(*sequence);
    if (sequence->state != State::running) continue;
    if (sequence->num_pending() == 1)
      add_to_batch(*sequence, 1);
    else
      prefilling.push_back(sequence);
  }
  if (prefilling.empty()) return;
  std::ranges::sort(prefilling, {}, &Sequence::arrival);
  auto room = model_.batch_tokens_max() - static_cast<std::uint32_t>(batch_.size());
  if (!batch_.empty()) room = std::min(room, options_.prompt_tokens_beside_answers_max);
  const auto share = std::max(1u, room / static_cast<std::uint32_t>(prefilling.size()));
  std::uint32_t wanted_by_younger = 0;
  for (const auto* sequence : prefilling)
    wanted_by_younger += std::min(share, sequence->num_pending());
  for (auto* sequence : prefilling) {
    wanted_by_younger -= std::min(share, sequence->num_pending());
    const auto n = std::min(sequence->num_pending(), room - std::min(room, wanted_by_younger));
    add_to_batch(*sequence, n);
    room -= n;
  }
}

void Scheduler::add_to_batch(Sequence& sequence, std::uint32_t n) {
  for (std::uint32_t i = 0; i < n; ++i) {
    const auto position = sequence.position + i;
    batch_.push_back({*sequence.slot, sequence.tokens[position], position,
                      position + 1 == sequence.tokens.size()});
    batch_owner_.push_back(&sequence);
  }
}

void Scheduler::fail_batch(const Error& error) {
  auto owners = batch_owner_;
  std::ranges::sort(owners);
  const auto [first, last] = std::ranges::unique(owners);
  owners.erase(first, last);
  for (auto* sequence : owners) end(*sequence, domain::Failed{error}, false);
}

// Takes a sampled token: it ends the generation, or becomes text and the next thing to decode.
void Scheduler::accept(Sequence& sequence, Token token) {
  if (model_.is_end(token)) {
    ++sequence.num_ends;
    return begin_finish(sequence, domain::FinishReason::stop);
  }
  sequence.tokens.push_back(token);
  if (!sequence.text.feed(model_.piece(token)))
    return begin_finish(sequence, domain::FinishReason::stop);
  if ((sequence.max_tokens && sequence.num_generated() >= *sequence.max_tokens) ||
      sequence.tokens.size() > model_.context_tokens_max()) {
    return begin_finish(sequence, domain::FinishReason::length);
  }
  if (sequence.parser) parse_ready(sequence);
  if (flush(sequence)) return;
  if (sequence.credit == 0) move(sequence, Input::credit_out);
}

void Scheduler::begin_finish(Sequence& sequence, domain::FinishReason reason) {
  leave_slot(sequence, true);
  move(sequence, Input::all_computed);
  sequence.text.finish();
  if (sequence.parser) {
    parse_ready(sequence);
    std::vector<domain::Event> events;
    sequence.parser->finish(reason == domain::FinishReason::length, events);
    for (auto& event : events) enqueue(sequence, std::move(event), options_.delta_bytes_max);
    if (reason == domain::FinishReason::stop && sequence.parser->found_tool_call())
      reason = domain::FinishReason::tool_calls;
  }
  sequence.reason = reason;
  flush(sequence);
}

// Hands what the assembler has to the parser.
void Scheduler::parse_ready(Sequence& sequence) {
  std::vector<domain::Event> events;
  while (sequence.text.has_ready()) {
    const auto piece = sequence.text.take_ready(options_.delta_bytes_max);
    const auto& text = std::get<domain::TextDelta>(piece);  // a parser leaves no tags to the rules
    sequence.num_unparsed += text.num_tokens;
    sequence.parser->feed(text.text.reveal(), events);
  }
  for (auto& event : events) enqueue(sequence, std::move(event), options_.delta_bytes_max);
}

std::optional<domain::Event> Scheduler::next_delta(Sequence& sequence) {
  std::optional<domain::Event> event;
  if (!sequence.parsed.empty()) {
    event = std::move(sequence.parsed.front());
    sequence.parsed.pop_front();
  } else if (!sequence.parser && sequence.text.has_ready()) {
    event = sequence.text.take_ready(options_.delta_bytes_max);
  } else if (sequence.state == State::finishing && !sequence.logprobs.empty()) {
    event = domain::TextDelta{domain::Content{}, 0};
  }
  if (!event || sequence.logprobs.empty()) return event;
  if (auto* text = std::get_if<domain::TextDelta>(&*event)) {
    const auto n = std::min(sequence.logprobs.size(), kDeltaLogprobs);
    const auto begin = sequence.logprobs.begin();
    text->logprobs.assign(std::make_move_iterator(begin),
                          std::make_move_iterator(begin + static_cast<std::ptrdiff_t>(n)));
    sequence.logprobs.erase(begin, begin + static_cast<std::ptrdiff_t>(n));
  } else {
    sequence.logprobs.clear();  // of reasoning and tool calls, nobody is told
  }
  return event;
}

bool Scheduler::flush(Sequence& sequence) {
  while (sequence.credit > 0) {
    auto delta = next_delta(sequence);
    if (!delta) break;
    --sequence.credit;
    sink_.on_event(sequence.key, *std::move(delta));
  }
  const bool more = !sequence.parsed.empty() || sequence.text.has_ready() ||
                    (sequence.state == State::finishing && !sequence.logprobs.empty());
  if (sequence.state != State::finishing || more) return false;
  const domain::Usage usage{.prompt_tokens = sequence.num_prompt,
                            .cached_prompt_tokens = sequence.num_cached,
                            .completion_tokens = sequence.num_generated()};
  auto stop = sequence.text.stop_index();
  if (stop && *stop >= sequence.num_stops) stop.reset();
  end(sequence, domain::Finished{sequence.reason, usage, stop});
  return true;
}

void Scheduler::end(Sequence& sequence, domain::Event last, bool keep) {
  leave_slot(sequence, keep);
  if (sequence.state == State::waiting) leave_line(sequence);
  if (sequence.state == State::parked) --num_parked_;
  move(sequence, Input::ended);
  const auto key = sequence.key;
  deadlines_.erase({sequence.deadline, key});
  sequences_.erase(key);
  sink_.on_event(key, std::move(last));
}

Scheduler::Load Scheduler::load() const noexcept {
  Load load;
  double used = 0;
  for (const auto* sequence : slots_) {
    if (sequence == nullptr) continue;
    ++load.running;
    used += sequence->position;
  }
  load.waiting = static_cast<std::uint32_t>(waiting_.size()) + num_parked_;
  load.cache_usage = used / (static_cast<double>(slots_.size()) * model_.context_tokens_max());
  return load;
}

}  // namespace tacit::engine
