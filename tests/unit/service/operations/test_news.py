import threading

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
