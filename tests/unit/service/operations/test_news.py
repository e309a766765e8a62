import threading
from uuid import UUID

from modelgenerator.service.operations import news as news_module
from modelgenerator.service.operations.news import News


def test_work_that_came_before_the_wait_is_told_once():
    news = News()
    news.work_came()
    assert news.wait_for_work(0)
    assert not news.wait_for_work(0)


def test_every_thread_that_waits_is_told():
    news = News()
    told: list[bool] = []
    threads = [
        threading.Thread(target=lambda: told.append(news.wait_for_work(60))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    news.work_came()
    for thread in threads:
        thread.join()
    assert told == [True, True, True]


def test_jobs_of_long_ago_are_forgotten_and_who_watches_one_looks_again(monkeypatch):
    monkeypatch.setattr(news_module, "MOST_KEPT", 2)
    news = News()
    first, *later = (UUID(int=number) for number in range(4))
    news.tell(first)
    seen = news.count(first)
    for id in later:
        news.tell(id)
    assert news.count(first) != seen
    assert [news.count(id) for id in later] == [0, 1, 1]
