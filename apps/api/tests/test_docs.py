"""The page /docs: everything that it loads comes from this server."""

import re

from api_fixtures import http


def test_the_page_names_no_other_host(url):
    page = http.get(url + "/docs").text
    assert "SwaggerUIBundle" in page
    assert re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", page) == []


def test_what_the_page_loads_is_served_here(url):
    page = http.get(url + "/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {path.rpartition(".")[2] for path in loaded} == {"js", "css", "png"}
    for path in loaded:
        answer = http.get(url + path)
        assert answer.status_code == 200
        assert len(answer.content) > 1000


def test_no_public_site_is_asked_to_validate_the_document(url):
    assert '"validatorUrl": null' in http.get(url + "/docs").text
