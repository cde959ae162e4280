#include "api/openai/models.hpp"

#include <gtest/gtest.h>

#include <array>

namespace tacit::api::openai {
namespace {

TEST(RenderModels, ListAndObject) {
  const std::array models{domain::ModelInfo{"a:1b", "sha256:00", 5, 4096},
                          domain::ModelInfo{"b", "", 0, 0}};
  EXPECT_EQ(
      render_models(models, 7),
      R"({"object":"list","data":[{"id":"a:1b","object":"model","created":7,"owned_by":"tacit",)"
      R"("digest":"sha256:00","context_window":4096},{"id":"b","object":"model","created":7,"owned_by":"tacit"}]})");
  EXPECT_EQ(render_models({}, 7), R"({"object":"list","data":[]})");
}

}  // namespace
}  // namespace tacit::api::openai
