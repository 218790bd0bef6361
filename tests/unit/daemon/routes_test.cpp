#include "daemon/routes.hpp"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The control socket's routes, and what they had the daemon do.
class ControlRoutes : public ::testing::Test {
 protected:
  ControlRoutes() {
    questions_.ready = [this] { return ready_; };
    questions_.reload = [this](bool dry_run) {
      done_.emplace_back(dry_run ? "dry run" : "reload");
      return ReloadResult{};
    };
    questions_.rotate = [this](std::string_view stream) {
      done_.push_back("rotate " + std::string(stream));
      return true;
    };
    questions_.stream = [this](std::string_view stream) -> std::shared_ptr<append::StreamStore> {
      done_.push_back("sync " + std::string(stream));
      return nullptr;
    };
  }

  http::Response post(const std::string& path, const std::string& query) {
    http::Response answer;
    for (const http::Route& route : control_routes(questions_)) {
      if (route.method != "POST" || route.path != path) continue;
      route.handler({.method = "POST", .path = path, .query = query, .body = {}},
                    [&answer](http::Response response) { answer = std::move(response); });
    }
    return answer;
  }

  bool ready_ = true;
  Questions questions_;
  std::vector<std::string> done_;
};

TEST_F(ControlRoutes, TakeTheUsualWordsForYesAndNo) {
  for (const char* yes : {"1", "true", "yes", "TRUE", "Yes"}) {
    done_.clear();
    EXPECT_EQ(post("/reload", std::string("dry_run=") + yes).status, 200U);
    EXPECT_THAT(done_, ElementsAre("dry run")) << yes;
  }
  for (const char* no : {"", "dry_run=0", "dry_run=false", "dry_run=No", "&"}) {
    done_.clear();
    EXPECT_EQ(post("/reload", no).status, 200U);
    EXPECT_THAT(done_, ElementsAre("reload")) << no;
  }
}

TEST_F(ControlRoutes, DoNothingWhenTheyDoNotUnderstandEveryWord) {
  for (const char* query : {"dry_run=x", "dry_run=", "dry_run", "dry_run=%zz", "dry-run=1", "dryrun=1",
                            "dry_run=1&verbose=1", "dry_run=1&dry_run=0", "stream=main"}) {
    const http::Response answer = post("/reload", query);
    EXPECT_EQ(answer.status, 400U) << query;
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_THAT(answer.body, HasSubstr(R"("ok":false,"error":")")) << query;
  }
  for (const char* query : {"name=main", "stream=%4", "stream=a&stream=b"}) {
    EXPECT_EQ(post("/rotate", query).status, 400U) << query;
    EXPECT_EQ(post("/sync", query).status, 400U) << query;
  }
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(ControlRoutes, ChangeNothingOnceTheStopHasBegun) {
  ready_ = false;
  for (const char* path : {"/reload", "/rotate", "/sync"}) {
    EXPECT_EQ(post(path, "").status, 503U) << path;
  }
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(ControlRoutes, SayWhatTheyDidNotUnderstand) {
  EXPECT_THAT(post("/reload", "dry_run=maybe").body,
              HasSubstr("dry_run is 1, true or yes, or 0, false or no, not 'maybe'"));
  EXPECT_THAT(post("/sync", "name=a").body, HasSubstr("unknown parameter name; there is: stream"));
}

TEST_F(ControlRoutes, RepeatNoBytesThatAreNotUnicode) {
  EXPECT_THAT(post("/sync", "stream=a%ff").body, HasSubstr("no stream a\xEF\xBF\xBD\""));
}

TEST_F(ControlRoutes, TakeMainForAStreamThatIsNotNamed) {
  EXPECT_EQ(post("/rotate", "").status, 200U);
  EXPECT_EQ(post("/rotate", "stream=audit").status, 200U);
  EXPECT_EQ(post("/sync", "stream=a%20b").status, 404U);
  EXPECT_THAT(done_, ElementsAre("rotate main", "rotate audit", "sync a b"));
}

}  // namespace
}  // namespace fastlogd::daemon
