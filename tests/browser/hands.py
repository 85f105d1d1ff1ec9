"""What a person does with a panel: finds it, moves a handle, chooses, and waits for the picture."""


def panel_of(page, words: str):
    """The output of the cell whose picture's alt text holds these words, and the picture."""
    image = page.locator(f".jp-OutputArea-output img[alt*='{words}']").first
    return output_of(image), image


def output_of(image):
    return image.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')]").last


def handle_of(area, label: str):
    row = area.locator(".widget-inline-hbox", has_text=label).first
    return row.locator(".noUi-handle").first


def change(expect, image, act) -> str:
    """Act, and see the picture and its alt text change."""
    before = image.get_attribute("alt")
    act()
    expect(image).not_to_have_attribute("alt", before)
    assert image.evaluate("e => e.complete && e.naturalWidth > 0")
    return image.get_attribute("alt")


def choose(area, label: str, word: str) -> None:
    """Choose one of the words by keyboard, as a learner with no mouse does."""
    button = area.locator(".widget-toggle-buttons", has_text=label).get_by_role(
        "button", name=word, exact=True
    )
    button.focus()
    button.press("Enter")
