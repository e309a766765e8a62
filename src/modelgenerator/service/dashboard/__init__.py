"""The pages that a person sees: HTML made here, from what the operations answer.

A page's story: `visits` says who looks, the page's module asks an operation, `rendering` fills the
page's template, `page_errors` says what went wrong in words and with one button. Scripts only
renew parts of a page: without them every page can be read and every form works.
"""
