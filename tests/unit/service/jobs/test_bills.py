from service.jobs.bills import Bills


def test_a_job_is_paid_for_once_and_only_while_it_is_open():
    spent, bills = [], Bills()
    bills.open("a", spent.append)
    bills.open("b", spent.append)
    bills.settle("a", 7.0)
    bills.settle("a", 7.0)
    bills.drop("b")
    bills.settle("b", 5.0)
    bills.settle("other", 3.0)
    bills.drop("other")
    assert spent == [7.0]
