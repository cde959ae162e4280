// A backend without an engine, for tests and benchmarks: it answers from a script.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/backend.hpp"

namespace tacit::domain::testing {

// FakeGeneration hands out prepared events: all at once, or one per next().
class FakeGeneration final : public Generation {
 public:
  FakeGeneration(EventBatch events, bool one_at_a_time)
      : events_{std::move(events)}, one_{one_at_a_time} {}
  Async<EventBatch> next(Deadline) override {
    EventBatch batch;
    if (!one_) {
      batch = std::move(events_);
    } else {
      batch.push_back(std::move(events_.at(position_++)));
    }
    co_return batch;
  }

 private:
  EventBatch events_;
  bool one_;
  std::size_t position_ = 0;
};

// FakeProvider has one model, "fake".
class FakeProvider final : public ModelProvider, public Backend {
 public:
  // Fills the events of an answer; the last must be Finished or Failed.
  std::function<void(const GenerateRequest&, EventBatch&)> script =
      [](const auto&, EventBatch& out) { out.emplace_back(Finished{}); };
  std::optional<Error> refusal;  // of generate()
  bool one_event_at_a_time = false;

  Async<std::shared_ptr<Backend>> acquire(std::string name, Deadline) override {
    if (name != info_.name)
      co_return fail(Error{Code::not_found, "no such model"}.about(PublicText{name}));
    co_return std::shared_ptr<Backend>{std::shared_ptr<void>{},
                                       this};  // not owned: it is this object
  }
  std::vector<ModelInfo> list() override { return {info_}; }
  const ModelInfo& model() const override { return info_; }
  Async<std::unique_ptr<Generation>> generate(GenerateRequest request, Deadline) override {
    if (refusal) co_return fail(*refusal);
    EventBatch events;
    script(request, events);
    co_return std::make_unique<FakeGeneration>(std::move(events), one_event_at_a_time);
  }

 private:
  ModelInfo info_{"fake", "sha256:00", 1, 4096};
};

}  // namespace tacit::domain::testing
