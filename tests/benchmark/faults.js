// What is wrong with how the page is laid out, by kind; each fault with the beginning of what has it.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const box = (each) => each.getBoundingClientRect();
  const told = (each) => each.outerHTML.slice(0, 160);

  const wider = all("body *")
    .filter((each) => !each.closest(".scroll, title, style") && box(each).right > innerWidth + 0.5);

  const empty = all("svg").filter((each) => !(box(each).width > 5 && box(each).height > 5));

  const clipped = all(".plot > svg text").filter((each) => {
    const own = box(each);
    const whole = box(each.ownerSVGElement);
    return own.left < whole.left - 1 || own.right > whole.right + 1
      || own.top < whole.top - 1 || own.bottom > whole.bottom + 1;
  });

  const meet = (one, other) => one.left < other.right - 0.5 && other.left < one.right - 0.5
    && one.top + 2 < other.bottom - 2 && other.top + 2 < one.bottom - 2;
  const overlapping = all(".plot > svg").flatMap((svg) => {
    const texts = [...svg.querySelectorAll("text:not(.ring)")];
    return texts.filter((each, place) => texts.slice(place + 1).some((other) => meet(box(each), box(other))));
  });

  // The ratio of the luminances of text and of what is behind it must be 4.5 (WCAG 2.2, 1.4.3).
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (colour) => {
    const [red, green, blue] = parts(colour).slice(0, 3).map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0.99) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = all("body *").filter((each) => {
    const words = [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!words || each.closest("title, style")) return false;
    const style = getComputedStyle(each);
    const pair = [luminance(each.closest("svg") ? style.fill : style.color), luminance(behind(each))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
  });

  const faults = { wider, empty, clipped, overlapping, faint };
  return Object.fromEntries(Object.entries(faults).map(([kind, found]) => [kind, found.map(told)]));
})()
